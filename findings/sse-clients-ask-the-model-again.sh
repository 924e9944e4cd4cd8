#!/usr/bin/env bash
# Three SSE clients send the POST again after a whole answer: the model is asked once more, and the reader gets both answers as one.
#
# To an EventSource a stream that ends is a connection that was lost, and it connects again for good. These three take a method and a body,
# so that a chat request fits in, and go on in the same way after a body that was complete, `[DONE]` and all. httpx-sse and
# @microsoft/fetch-event-source end there.
#
# Version: requests-sse 0.5.3, aiohttp-sse-client2 0.3.0, httpx-sse 0.4.3 (PyPI); eventsource-client 1.2.0, @microsoft/fetch-event-source
#          2.0.1 (npm, Node 20.20).
# Source:  requests_sse/client.py line 243, aiohttp_sse_client2/client.py line 183 (`self._reconnection_time *= 2`, then connect);
#          eventsource-client dist/default.esm.js line 95 (`done && … scheduleReconnect()`).
# Hurts:   users who read to the end of the loop: their key pays for an answer every few seconds, each takes a slot, and the text they
#          put together has the answer in it two and three times.
# Do:      close the client at `[DONE]` or message_stop; or a reader that is no EventSource.
# Seen:    requests for one question, and words read, until the loop ends or three answers were read: requests-sse 3 AAA,
#          aiohttp-sse-client2 3 AAA, eventsource-client 3 AAA | httpx-sse 1 A, fetch-event-source 1 A
. "$(dirname "$0")/lib.sh"
python_packages requests-sse==0.5.3 requests==2.34.2 aiohttp-sse-client2==0.3.0 aiohttp==3.14.3 httpx-sse==0.4.3 httpx==0.28.1
node_packages eventsource-client@1.2.0 @microsoft/fetch-event-source@2.0.1
provider <<'PY'
from provider import *
whole = sse(chat("A"), chat(None, "stop"), DONE)
ANSWERS = {name: whole for name in ("requests", "aiohttp", "httpx", "client", "fetch")}
PY
cat >"$WORK/read.py" <<'PY'
import asyncio, datetime, json, os, signal, sys
signal.alarm(20)
name = sys.argv[1]
url, words = f"{os.environ['PROVIDER']}/{name}", []
soon = datetime.timedelta(seconds=0.1)
def enough(data):
    if data == "[DONE]":
        return words.count("A") == 3
    words.append(json.loads(data)["choices"][0]["delta"].get("content", ""))
    return False
def by_requests():
    from requests_sse import EventSource
    with EventSource(url, method="POST", json={}, reconnection_time=soon) as events:
        for event in events:
            if enough(event.data):
                return
async def by_aiohttp():
    from aiohttp_sse_client2.client import EventSource
    async with EventSource(url, option={"method": "POST"}, reconnection_time=soon, json={}) as events:
        async for event in events:
            if enough(event.data):
                return
def by_httpx():
    import httpx, httpx_sse
    with httpx.Client() as client, httpx_sse.connect_sse(client, "POST", url, json={}) as events:
        for event in events.iter_sse():
            if enough(event.data):
                return
if name == "aiohttp":
    asyncio.run(by_aiohttp())
else:
    {"requests": by_requests, "httpx": by_httpx}[name]()
print("".join(words))
PY
cat >"$WORK/read.js" <<'JS'
import { createEventSource } from "eventsource-client";
import { fetchEventSource } from "@microsoft/fetch-event-source";
Object.assign(globalThis, { window: globalThis, document: { hidden: false, addEventListener() {}, removeEventListener() {} } });
setTimeout(() => process.exit(1), 20000);
const name = process.env.NAME;
const request = { method: "POST", headers: { "content-type": "application/json" }, body: "{}" };
const url = `${process.env.PROVIDER}/${name}`;
let words = "";
const read = ({ data }) => {
  if (data !== "[DONE]") words += JSON.parse(data).choices[0].delta.content ?? "";
  return data === "[DONE]" && words.length === 3;
};
if (name === "fetch") await fetchEventSource(url, { ...request, onmessage: read });
else for await (const event of createEventSource({ url, ...request })) if (read(event)) break;
console.log(words);
process.exit();
JS
asked() {
  local words
  provider_log >/dev/null
  words="$("$@" || true)"
  echo "$(provider_log | grep -c request) $words"
}
in_node() { NAME="$1" node_run <"$WORK/read.js"; }
measured "requests-sse" "1 A" "3 AAA" "$(asked "$PY" "$WORK/read.py" requests)"
measured "aiohttp-sse-client2" "1 A" "3 AAA" "$(asked "$PY" "$WORK/read.py" aiohttp)"
measured "httpx-sse" "1 A" "1 A" "$(asked "$PY" "$WORK/read.py" httpx)"
measured "eventsource-client" "1 A" "3 AAA" "$(asked in_node client)"
measured "fetch-event-source" "1 A" "1 A" "$(asked in_node fetch)"
finish
