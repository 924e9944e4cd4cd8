#!/usr/bin/env bash
# anthropic 2.14 raises TypeError for an httpx client or timeout; openai 3.57, on the same httpx2, takes both.
#
# Both SDKs moved from httpx to httpx2. Their classes are no relatives: httpx2.ReadError is no httpx.ReadError.
# openai takes an old client by its shape and still maps its timeouts; anthropic refuses it at construction.
#
# Version: anthropic 2.14.0, openai 3.57.0, httpx 0.28.1, httpx2 2.16.2 (PyPI).
# Source:  anthropic/_base_client.py line 167 ("this SDK uses `httpx2`").
# Hurts:   users of a proxy whose start-up code hands both SDKs one httpx.Client (a private CA, no system proxy) or
#          httpx.Timeout: after an upgrade the one half fails at start, and `except httpx.HTTPError` catches nothing.
# Do:      give each SDK a client of the module it uses (`anthropic.DefaultHttpxClient`), a plain number as timeout, and
#          catch the SDK's own errors.
# Seen:    openai: whole, whole | anthropic: TypeError, TypeError | related: False
. "$(dirname "$0")/lib.sh"
python_packages anthropic==2.14.0 openai==3.57.0 httpx==0.28.1 httpx2==2.16.2
provider <<'PY'
from provider import *
message = {"id": "m1", "type": "message", "role": "assistant", "model": "m", "content": [{"type": "text", "text": "whole"}],
           "stop_reason": "end_turn", "stop_sequence": None, "usage": {"input_tokens": 1, "output_tokens": 1}}
ANSWERS = {"openai": body(answer()), "anthropic": body(message)}
PY
asks() {
  "$PY" - "$@" <<'PY'
import os, sys
import anthropic, httpx, openai
def one(sdk, name):
    base = f"{os.environ['PROVIDER']}/{sdk}"
    option = {"client": {"http_client": httpx.Client()}, "timeout": {"timeout": httpx.Timeout(5)}, "number": {"timeout": 5}}[name]
    request = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "x"}]}
    try:
        if sdk == "openai":
            print(openai.OpenAI(api_key="x", base_url=base, **option).chat.completions.create(**request).choices[0].message.content)
        else:
            print(anthropic.Anthropic(api_key="x", base_url=base, **option).messages.create(**request).content[0].text)
    except Exception as error:
        print(type(error).__name__)
for case in sys.argv[1:]:
    one(*case.split(":"))
PY
}
mapfile -t asks < <(asks openai:client openai:timeout anthropic:client anthropic:timeout anthropic:number)
measured "openai with httpx.Client" "whole" "whole" "${asks[0]:-}"
measured "openai with httpx.Timeout" "whole" "whole" "${asks[1]:-}"
measured "anthropic with httpx.Client" "whole" "TypeError" "${asks[2]:-}"
measured "anthropic with httpx.Timeout" "whole" "TypeError" "${asks[3]:-}"
measured "anthropic with a number" "whole" "whole" "${asks[4]:-}"
measured "httpx2.ReadError is an httpx.HTTPError" "True" "False" \
  "$("$PY" -c 'import httpx, httpx2; print(issubclass(httpx2.ReadError, httpx.HTTPError))')"
finish
