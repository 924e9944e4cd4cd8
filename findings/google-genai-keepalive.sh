#!/usr/bin/env bash
# A keep-alive comment kills a stream of google-genai for Python; so does every line that is not exactly `data: `.
#
# What looks like an SSE reader is none: each line that does not begin with `data: `, with the blank, is taken for raw JSON.
# `: ping`, `event: message`, `id: 1`, `retry: 100`, `data:{...}` and a closing `data: [DONE]` end the loop in
# UnknownApiResponseError. @google/genai reads comments and `data:` without the blank.
#
# Version: google-genai 3.6.1 (PyPI).
# Source:  google/genai/_api_client.py lines 663 to 666, and the same twice more for the two async transports.
# Hurts:   users of a proxy's Gemini route that sends keep-alive comments while the model thinks (LiteLLM can, with
#          `sse_keepalive_ping_interval_seconds`): the answers that take long fail, the quick ones work.
# Do:      send no keep-alives on Gemini's native routes, or only blank lines; write `data: ` with the blank.
# Seen:    blank lines: A B | comment: A UnknownApiResponseError | no blank: UnknownApiResponseError |
#          [DONE]: A B UnknownApiResponseError
. "$(dirname "$0")/lib.sh"
python_packages google-genai==3.6.1
provider <<'PY'
from provider import *
end = gemini("", "STOP")
ANSWERS = {
    "blank": sse(gemini("A"), b"\r\n\r\n", gemini("B"), end),
    "comment": sse(gemini("A"), b": ping\r\n\r\n", gemini("B"), end),
    "event": sse(b"event: message\r\n", gemini("A"), gemini("B"), end),
    "tight": sse((gemini("A") + gemini("B") + end).replace(b"data: ", b"data:")),
    "done": sse(gemini("A"), gemini("B"), end, b"data: [DONE]\r\n\r\n"),
}
PY
reads() {
  "$PY" - "$@" <<'PY'
import os, sys
from google import genai
from google.genai import types
def one(name):
    options = types.HttpOptions(base_url=f"{os.environ['PROVIDER']}/{name}")
    client, seen = genai.Client(api_key="x", http_options=options), []
    try:
        for chunk in client.models.generate_content_stream(model="m", contents="x"):
            seen += [chunk.text] if chunk.text else []
    except Exception as error:
        seen.append(type(error).__name__)
    print(*seen)
for name in sys.argv[1:]:
    one(name)
PY
}
mapfile -t seen < <(reads blank comment event tight done)
measured "blank lines between events" "A B" "A B" "${seen[0]:-}"
measured "a comment between events" "A B" "A UnknownApiResponseError" "${seen[1]:-}"
measured "event: before data:" "A B" "UnknownApiResponseError" "${seen[2]:-}"
measured "data: without a blank" "A B" "UnknownApiResponseError" "${seen[3]:-}"
measured "[DONE] at the end" "A B" "A B UnknownApiResponseError" "${seen[4]:-}"
finish
