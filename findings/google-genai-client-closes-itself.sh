#!/usr/bin/env bash
# `genai.Client(...).models.generate_content(...)` in one line fails: the client has closed itself by then.
#
# `.models` keeps the connection pool but not the client, and the client's `__del__` closes the pool. So the call runs on
# a closed pool as soon as nothing refers to the client: in a one-liner, or after `return genai.Client(...).models`.
# openai's and anthropic's clients live on through their resources.
#
# Version: google-genai 3.6.1, openai 3.57.0 (PyPI).
# Source:  google/genai/client.py line 677 (`__del__`).
# Hurts:   people who try a proxy with a one-liner, and helpers that hand out `.models`: "the client has been closed" reads
#          like the proxy's fault.
# Do:      keep the client in a variable for as long as its `.models` or `.aio` is in use.
# Seen:    in one line: RuntimeError: Cannot send a request, as the client has been closed. | kept: A | openai in one line: whole
. "$(dirname "$0")/lib.sh"
python_packages google-genai==3.6.1 openai==3.57.0
provider <<'PY'
from provider import *
answered = {"candidates": [{"content": {"role": "model", "parts": [{"text": "A"}]}, "finishReason": "STOP"}]}
ANSWERS = {"gemini": body(answered), "openai": body(answer())}
PY
reads() {
  "$PY" - "$@" <<'PY'
import os, sys, openai
from google import genai
from google.genai import types
def one(name):
    options, messages = types.HttpOptions(base_url=f"{os.environ['PROVIDER']}/gemini"), [{"role": "user", "content": "x"}]
    try:
        if name == "openai":
            base = f"{os.environ['PROVIDER']}/openai"
            print(openai.OpenAI(api_key="x", base_url=base).chat.completions.create(model="m", messages=messages).choices[0].message.content)
        elif name == "kept":
            client = genai.Client(api_key="x", http_options=options)
            print(client.models.generate_content(model="m", contents="x").text)
        else:
            print(genai.Client(api_key="x", http_options=options).models.generate_content(model="m", contents="x").text)
    except Exception as error:
        print(f"{type(error).__name__}: {error}")
for name in sys.argv[1:]:
    one(name)
PY
}
mapfile -t seen < <(reads openai kept line)
measured "openai, in one line" "whole" "whole" "${seen[0]:-}"
measured "google-genai, the client kept" "A" "A" "${seen[1]:-}"
measured "google-genai, in one line" "A" "RuntimeError: Cannot send a request, as the client has been closed." "${seen[2]:-}"
finish
