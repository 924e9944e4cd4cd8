#!/usr/bin/env bash
# A stream that breaks in anthropic for Python raises an error of httpx2's that no `except anthropic.APIError` sees.
#
# Up to the status every trouble is one of the SDK's errors. Behind it, in the loop, a silence beyond `timeout` is
# httpx2.ReadTimeout and a lost connection httpx2.RemoteProtocolError, while an error event is an APIStatusError. openai, out of
# the same generator, makes APITimeoutError and APIConnectionError of them.
#
# Version: anthropic 2.14.0, openai 3.57.0 (PyPI).
# Source:  anthropic/_streaming.py, Stream.__stream__ (its `except Exception` raises on what came), beside openai/_streaming.py,
#          Stream._iter_events (`raise APIConnectionError(…) from err`).
# Hurts:   users whose retry or fallback names anthropic's errors: it works for all that fails before the first word, and not
#          once for what fails behind it.
# Do:      catch httpx2.HTTPError around the loop as well (httpx2 comes with the SDK; it is no relative of httpx.HTTPError).
# Seen:    cut: anthropic httpx2.RemoteProtocolError, openai APIConnectionError | silent: httpx2.ReadTimeout, APITimeoutError
. "$(dirname "$0")/lib.sh"
python_packages anthropic==2.14.0 openai==3.57.0
provider <<'PY'
from provider import *
begun = claude_start() + claude("content_block_start", index=0, content_block={"type": "text", "text": ""})
ANSWERS = {
    "cut": sse(chat("A"), cut=True),
    "cut_claude": sse(begun, cut=True),
    "silent": sse(chat("A"), 4.0, DONE),
    "silent_claude": sse(begun, 4.0, claude_end()),
}
PY
cat >"$WORK/read.py" <<'PY'
import os, anthropic, openai
at, asked = os.environ["PROVIDER"], [{"role": "user", "content": "x"}]
options = {"api_key": "none", "max_retries": 0, "timeout": 2}
for name in ("cut", "silent"):
    clients = {
        openai: openai.OpenAI(base_url=f"{at}/{name}", **options).chat.completions,
        anthropic: anthropic.Anthropic(base_url=f"{at}/{name}_claude", **options).messages,
    }
    for package, resource in clients.items():
        more = {"max_tokens": 9} if package is anthropic else {}
        stream = resource.create(model="m", messages=asked, stream=True, **more)
        try:
            for _ in stream:
                pass
            print(package.__name__, name, "nothing")
        except Exception as error:
            print(package.__name__, name, f"{type(error).__module__.split('.')[0]}.{type(error).__name__}", isinstance(error, package.APIError))
PY
"$PY" "$WORK/read.py" >"$WORK/seen"
seen() { sed -n "s/^$1 //p" "$WORK/seen"; }
echo "what is raised, and whether it is the package's APIError:"
measured "openai, cut" "openai.APIConnectionError True" "openai.APIConnectionError True" "$(seen "openai cut")"
measured "openai, silent" "openai.APITimeoutError True" "openai.APITimeoutError True" "$(seen "openai silent")"
measured "anthropic, cut" "anthropic.APIConnectionError True" "httpx2.RemoteProtocolError False" "$(seen "anthropic cut")"
measured "anthropic, silent" "anthropic.APITimeoutError True" "httpx2.ReadTimeout False" "$(seen "anthropic silent")"
finish
