#!/usr/bin/env bash
# With openai's synchronous client each stream that was read to its end costs a new connection; the asynchronous one keeps it.
#
# The loop ends at [DONE] and closes the response before the body's last chunk has been read, so the pool must throw the
# connection away. The async client reads on for a moment, on purpose. mistralai throws it away in both; anthropic keeps it in both.
#
# Version: openai 3.57.0, mistralai 3.7.0, anthropic 2.14.0 (PyPI).
# Source:  openai/_streaming.py lines 72 and 119 (the sync __stream__), 188 (the async one: "HTTP/1.1 needs the
#          remaining body consumed for connection reuse").
# Hurts:   users behind TLS, who pay a handshake for each turn, and operators who size a proxy's connections by its clients:
#          a worker of theirs leaves a connection in TIME_WAIT for each turn.
# Do:      use the async client for many turns; as an operator expect a connect for each turn and set no tight limit on
#          connections per address.
# Seen:    connections for three streams: openai sync 3, async 1 | mistralai 3, 3 | anthropic 1, 1
. "$(dirname "$0")/lib.sh"
python_packages openai==3.57.0 mistralai==3.7.0 anthropic==2.14.0
provider <<'PY'
from provider import *
ANSWERS = {
    "chat": sse(chat("A"), chat(finish="stop"), DONE),
    "claude": sse(claude_start(), claude_text("A"), claude_end()),
}
PY
connections() {
  "$PY" - "$1" "$2" <<'PY'
import asyncio, os, sys, time
sdk, mode = sys.argv[1:]
base = os.environ["PROVIDER"] + ("/claude" if sdk == "anthropic" else "/chat")
request = {"model": "m", "messages": [{"role": "user", "content": "x"}]}
def begin(client):
    if sdk == "mistralai":
        return client.chat.stream_async(**request) if mode == "async" else client.chat.stream(**request)
    if sdk == "openai":
        return client.chat.completions.create(stream=True, **request)
    return client.messages.create(stream=True, max_tokens=9, **request)
def build():
    if sdk == "mistralai":
        from mistralai.client import Mistral
        return Mistral(api_key="x", server_url=base)
    import anthropic, openai
    kind = {("openai", "sync"): openai.OpenAI, ("openai", "async"): openai.AsyncOpenAI,
            ("anthropic", "sync"): anthropic.Anthropic, ("anthropic", "async"): anthropic.AsyncAnthropic}[sdk, mode]
    return kind(api_key="x", base_url=base, max_retries=0)
async def three():
    client = build()
    for _ in range(3):
        async for _ in await begin(client):
            pass
        await asyncio.sleep(0.2)
if mode == "async":
    asyncio.run(three())
else:
    client = build()
    for _ in range(3):
        for _ in begin(client):
            pass
        time.sleep(0.2)
PY
  provider_log | grep request | sort -u | wc -l | tr -d ' '
}
measured "openai, sync" "1" "3" "$(connections openai sync)"
measured "openai, async" "1" "1" "$(connections openai async)"
measured "mistralai, sync" "1" "3" "$(connections mistralai sync)"
measured "mistralai, async" "1" "3" "$(connections mistralai async)"
measured "anthropic, sync" "1" "1" "$(connections anthropic sync)"
measured "anthropic, async" "1" "1" "$(connections anthropic async)"
finish
