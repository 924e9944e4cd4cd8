#!/usr/bin/env bash
# After `break` and `del stream` the provider still streams to openai-python, and to google-genai's async client.
#
# A broken-off `for chunk in stream` closes nothing by itself. With anthropic, mistralai and google-genai's sync client
# the connection falls with the last reference. openai's stream is part of a reference cycle, so it stays until the garbage
# collector happens to come by; google-genai's async one is not closed by that either within a second.
#
# Version: openai 3.57.0, google-genai 3.6.1, anthropic 2.14.0 (PyPI), CPython 3.11.
# Source:  openai/_streaming.py, Stream.__init__ (`self._iterator = self.__stream__()`, a generator that holds self).
# Hurts:   users who stop reading: the provider goes on and bills, and a key's slot for parallel requests stays taken at the
#          proxy, so the next turn may be refused.
# Do:      `with client.chat.completions.create(..., stream=True) as stream:`; in google-genai `await stream.aclose()`.
# Seen:    provider sees the client leave within 1.5 s of break and del: anthropic yes | openai no, async no, after
#          gc.collect() yes, in a with-statement yes | google-genai sync yes, async no
. "$(dirname "$0")/lib.sh"
python_packages openai==3.57.0 google-genai==3.6.1 anthropic==2.14.0
provider <<'PY'
from provider import *
ANSWERS = {
    "chat": sse(chat("A"), chat("B"), 4.0, DONE),
    "claude": sse(claude_start(), claude_text("A"), 4.0, claude_end()),
    "gemini": sse(gemini("A"), gemini("B"), 4.0, gemini("", "STOP")),
}
PY
leaves() {
  cat >"$WORK/leaves.py" <<'PY'
import asyncio, gc, os, pathlib, sys, time
sdk, how = sys.argv[1:]
base = f"{os.environ['PROVIDER']}/" + {"openai": "chat", "anthropic": "claude", "google": "gemini"}[sdk]
request = {"model": "m", "messages": [{"role": "user", "content": "x"}], "stream": True}
log = pathlib.Path(os.environ["LOG"])
def verdict():
    return "yes" if "left" in log.read_text() else "no"
async def gone_async(client):
    if sdk == "google":
        stream = await client.aio.models.generate_content_stream(model="m", contents="x")
    else:
        stream = await client.chat.completions.create(**request)
    async for chunk in stream:
        break
    del stream, chunk
    await asyncio.sleep(1.5)
    print(verdict(), flush=True)
    os._exit(0)
if sdk == "google":
    from google import genai
    from google.genai import types
    client = genai.Client(api_key="x", http_options=types.HttpOptions(base_url=base))
elif sdk == "anthropic":
    import anthropic
    client = anthropic.Anthropic(api_key="x", base_url=base)
else:
    import openai
    client = (openai.AsyncOpenAI if how == "async" else openai.OpenAI)(api_key="x", base_url=base)
if how == "async":
    asyncio.run(gone_async(client))
gc.disable()  # no lucky collection in between
if how == "with":
    with client.chat.completions.create(**request) as stream:
        for chunk in stream:
            break
else:
    if sdk == "google":
        stream = client.models.generate_content_stream(model="m", contents="x")
    elif sdk == "anthropic":
        stream = client.messages.create(max_tokens=9, **request)
    else:
        stream = client.chat.completions.create(**request)
    for chunk in stream:
        break
del stream, chunk
if how == "collect":
    gc.collect()
time.sleep(1.5)
print(verdict(), flush=True)
os._exit(0)
PY
  LOG="$WORK/log" "$PY" "$WORK/leaves.py" "$1" "$2"
  sleep 0.3
  provider_log >/dev/null
}
measured "anthropic, break and del" "yes" "yes" "$(leaves anthropic del)"
measured "openai, break and del" "yes" "no" "$(leaves openai del)"
measured "openai, the same and gc.collect()" "yes" "yes" "$(leaves openai collect)"
measured "openai, with-statement" "yes" "yes" "$(leaves openai with)"
measured "openai async, break and del" "yes" "no" "$(leaves openai async)"
measured "google-genai, break and del" "yes" "yes" "$(leaves google del)"
measured "google-genai async, break and del" "yes" "no" "$(leaves google async)"
finish
