#!/usr/bin/env bash
# together drops an `event: error` in silence: the answer ends early as one that ended well; groq and openai raise.
#
# The three SDKs come out of one generator, and each has its own reading of the event's name. With `event: error` and the usual
# `{"error": …}` openai and groq raise APIError, together passes over any named event. Without the name all three raise.
#
# Version: together 3.1.1, groq 1.7.0, openai 3.57.0 (PyPI).
# Source:  together/_streaming.py, Stream.__stream__ (`sse.event is None`), beside groq/_streaming.py and openai/_streaming.py.
# Hurts:   users of together's SDK behind a proxy that names its error events, as Anthropic's format does: a model that failed
#          in mid-answer leaves half a text and no exception.
# Do:      as a proxy, send errors of OpenAI's format without an `event:` line; as a user, no finish_reason is a failure.
# Seen:    named: together "A", no error; groq A APIError, openai A APIError | not named: A APIError in all three
. "$(dirname "$0")/lib.sh"
python_packages together==3.1.1 groq==1.7.0 openai==3.57.0
provider <<'PY'
from provider import *
FAILED = {"error": {"message": "overloaded", "type": "server_error", "code": 503}}
ANSWERS = {"named": sse(chat("A"), event(FAILED, "error")), "bare": sse(chat("A"), event(FAILED))}
PY
cat >"$WORK/ask.py" <<'PY'
import os, sys
import groq, openai, together
sdk, name = sys.argv[1:]
kind = {"groq": groq.Groq, "openai": openai.OpenAI, "together": together.Together}[sdk]
client = kind(api_key="x", base_url=f"{os.environ['PROVIDER']}/{name}", max_retries=0)
seen = []
try:
    for chunk in client.chat.completions.create(model="m", messages=[{"role": "user", "content": "x"}], stream=True):
        seen.append(chunk.choices[0].delta.content)
except Exception as error:
    seen.append(type(error).__name__)
print(*seen)
PY
asked() { "$PY" "$WORK/ask.py" "$@" 2>/dev/null || true; }
measured "together, event: error" "A APIError" "A" "$(asked together named)"
measured "groq, event: error" "A APIError" "A APIError" "$(asked groq named)"
measured "openai, event: error" "A APIError" "A APIError" "$(asked openai named)"
measured "together, without a name" "A APIError" "A APIError" "$(asked together bare)"
measured "groq, without a name" "A APIError" "A APIError" "$(asked groq bare)"
finish
