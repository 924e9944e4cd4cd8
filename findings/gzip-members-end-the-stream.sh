#!/usr/bin/env bash
# An event stream whose events are gzip members of their own ends after the first one in httpx, and so in OpenAI's SDK.
#
# A gzip body may be several members one behind the other (RFC 1952, section 2.2): what a server sends that compresses each
# event by itself. httpx and httpx2 stop at the end of the first member and drop the rest without an error. requests, aiohttp
# and Node's fetch, below openai-node, read on. One member that is flushed after each event is read whole by all of them.
#
# Version: httpx 0.28.1, httpx2 2.16.2, openai 3.57.0, requests 2.34.2, aiohttp 3.14.5 (PyPI), npm openai 6.49.0.
# Source:  httpx/_decoders.py and httpx2/_decoders.py, GZipDecoder (one zlib.decompressobj, its unused_data is not looked at).
# Hurts:   users behind a gateway that compresses piece by piece: the answer is its first word, and the loop ends as after
#          a whole one; the same answer is whole in Node.
# Do:      one compressor for the whole stream, with a sync flush after each event, or no compression for event streams;
#          as a client, take an answer without finish_reason for a failure.
# Seen:    three words as members: httpx 1, httpx2 1, openai "A" | requests 3, aiohttp 3, openai-node "ABC" |
#          one member, flushed: all three
. "$(dirname "$0")/lib.sh"
python_packages httpx==0.28.1 httpx2==2.16.2 openai==3.57.0 requests==2.34.2 aiohttp==3.14.5
node_packages openai@6.49.0
provider <<'PY'
import gzip, zlib
from provider import *
EVENTS = [chat("A"), chat("B"), chat("C"), chat(finish="stop"), DONE]
def paced(parts):  # each in a TCP segment of its own
    spaced = [piece for part in parts for piece in (part, 0.05)]
    return sse(*spaced, headers={"content-encoding": "gzip"})
def flushed():
    one = zlib.compressobj(wbits=31)
    return [one.compress(event) + one.flush(zlib.Z_SYNC_FLUSH) for event in EVENTS] + [one.flush()]
ANSWERS = {"members": paced([gzip.compress(event) for event in EVENTS]), "flushed": paced(flushed())}
PY
cat >"$WORK/read.py" <<'PY'
import asyncio, os, sys
import aiohttp, httpx, httpx2, openai, requests
how, name = sys.argv[1:]
base = f"{os.environ['PROVIDER']}/{name}"
def streamed(module):
    with module.stream("POST", base, json={}) as response:
        return b"".join(response.iter_bytes())
async def aio():
    async with aiohttp.ClientSession() as session, session.post(base, json={}) as response:
        return await response.read()
if how == "openai":
    client = openai.OpenAI(api_key="x", base_url=base, max_retries=0)
    stream = client.chat.completions.create(model="m", messages=[{"role": "user", "content": "x"}], stream=True)
    print("".join(chunk.choices[0].delta.content or "" for chunk in stream))
else:
    read = {"httpx": lambda: streamed(httpx), "httpx2": lambda: streamed(httpx2), "aiohttp": lambda: asyncio.run(aio()),
            "requests": lambda: requests.post(base, json={}).content}[how]()
    print(read.count(b'"content"'))
PY
read_by() { "$PY" "$WORK/read.py" "$@" 2>/dev/null || true; }
in_node() {
  node_run <<JS
import OpenAI from 'openai'
const client = new OpenAI({ apiKey: 'x', baseURL: '$PROVIDER/$1', maxRetries: 0 })
let text = ''
for await (const chunk of await client.chat.completions.create({ model: 'm', messages: [{ role: 'user', content: 'x' }], stream: true }))
  text += chunk.choices[0].delta.content ?? ''
console.log(text)
JS
}
measured "httpx, a member for each event: words read" "3" "1" "$(read_by httpx members)"
measured "httpx2, the same" "3" "1" "$(read_by httpx2 members)"
measured "requests, the same" "3" "3" "$(read_by requests members)"
measured "aiohttp, the same" "3" "3" "$(read_by aiohttp members)"
measured "openai, the same" "ABC" "A" "$(read_by openai members)"
measured "openai-node, the same" "ABC" "ABC" "$(in_node members)"
measured "httpx, one member, flushed after each event" "3" "3" "$(read_by httpx flushed)"
measured "openai, one member, flushed after each event" "ABC" "ABC" "$(read_by openai flushed)"
finish
