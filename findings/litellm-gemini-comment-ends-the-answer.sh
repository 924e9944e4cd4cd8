#!/usr/bin/env bash
# One comment line in a Gemini stream, and LiteLLM loses the rest of the answer and says `stop`.
#
# LiteLLM takes a line that is not `data:` for a piece of JSON that is still to be completed, and from then on adds every
# line to it; it never parses, and at the end the buffer is dropped. So `: ping`, which SSE allows anywhere, or an `id:`,
# `event:` or `retry:` line costs all text behind it, without an error.
#
# Version: litellm 1.110.2 (PyPI).
# Source:  litellm/llms/vertex_ai/gemini/vertex_and_google_ai_studio_gemini.py, ModelResponseIterator
#          (handle_accumulated_json_chunk, lines 4493 to 4602).
# Hurts:   users of a proxy that reaches Gemini through another gateway which keeps streams alive: answers that take long
#          are cut short, with finish_reason stop.
# Do:      switch keep-alives off on a gateway between LiteLLM and Gemini.
# Seen:    A B stop without, A stop with a comment between, stop with retry: before
. "$(dirname "$0")/lib.sh"
python_packages litellm==1.110.2
provider <<'PY'
from provider import *
end = gemini("", "STOP")
ANSWERS = {
    "plain": sse(gemini("A"), gemini("B"), end),
    "comment": sse(gemini("A"), b": ping\r\n\r\n", gemini("B"), end),
    "retry": sse(b"retry: 100\r\n\r\n", gemini("A"), gemini("B"), end),
}
PY
"$PY" - >"$WORK/seen" 2>/dev/null <<'PY'
import logging, os
os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
import litellm
litellm.suppress_debug_info = True
logging.disable(logging.CRITICAL)
for name in ("plain", "comment", "retry"):
    seen, base = [], f"{os.environ['PROVIDER']}/{name}"
    try:
        for chunk in litellm.completion(model="gemini/m", messages=[{"role": "user", "content": "x"}], api_key="x", api_base=base, stream=True):
            choice = chunk.choices[0]
            seen += [part for part in (choice.delta.content, choice.finish_reason) if part]
    except Exception as error:
        seen.append(type(error).__name__)
    print(*seen)
PY
mapfile -t seen <"$WORK/seen"
measured "no comment" "A B stop" "A B stop" "${seen[0]:-}"
measured "a comment between the events" "A B stop" "A stop" "${seen[1]:-}"
measured "retry: before the first event" "A B stop" "stop" "${seen[2]:-}"
finish
