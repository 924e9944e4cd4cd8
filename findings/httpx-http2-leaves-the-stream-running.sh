#!/usr/bin/env bash
# Over HTTP/2 httpx hangs up on nobody: a stream that is left half read goes on at the server until the client is closed.
#
# Leaving `with client.stream(...)` closes the connection over HTTP/1.1, so the server's application is told at once. HTTP/2 has
# RST_STREAM for that. httpcore forgets the stream on its own side and sends nothing, and the connection stays open for the next
# request; httpx2 does the same.
#
# Version: httpx 0.28.1 with httpcore 1.0.9, httpx2 2.16.2, h2 4.4.1; hypercorn 0.18.0 as the server (PyPI).
# Source:  httpcore/_sync/http2.py, _response_closed (no h2 reset_stream() in the package).
# Hurts:   users who give an SDK a client with `http2=True` and stop reading: the model writes on and is billed, and their slot for
#          parallel requests at a proxy stays taken, although they left the with-statement as they should.
# Do:      leave http2 off for streams (it is by default), or close the client.
# Seen:    application told within 2 s: RST_STREAM by hand yes | httpx, block left, HTTP/1.1 yes, HTTP/2 no, client closed yes |
#          httpx2 the same
. "$(dirname "$0")/lib.sh"
python_packages httpx==0.28.1 httpcore==1.0.9 httpx2==2.16.2 httpcore2==2.16.2 h2==4.4.1 hypercorn==0.18.0
cat >"$WORK/streams.py" <<'PY'
import asyncio, os, pathlib
told = pathlib.Path(os.environ["WORK"]) / "told"
async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            kind = (await receive())["type"]
            await send({"type": f"{kind}.complete"})
            if kind == "lifespan.shutdown":
                return
    while (await receive()).get("more_body"):
        pass
    left = asyncio.ensure_future(receive())
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/event-stream")]})
    for _ in range(60):
        await send({"type": "http.response.body", "body": b"data: A\n\n", "more_body": True})
        await asyncio.wait([left], timeout=0.1)
        if left.done():
            told.write_text("yes")
            return
    await send({"type": "http.response.body", "body": b"data: [DONE]\n\n", "more_body": False})
PY
cat >"$WORK/leave.py" <<'PY'
import importlib, os, pathlib, sys, time
module, url, version, how = sys.argv[1:]
told = pathlib.Path(os.environ["WORK"]) / "told"
told.unlink(missing_ok=True)
client = importlib.import_module(module).Client(http1=version == "HTTP/1.1", http2=version == "HTTP/2", timeout=5)
with client.stream("POST", url, json={}) as response:
    assert response.http_version == version, response.http_version
    next(response.iter_raw())
if how == "close":
    client.close()
time.sleep(2)
print("yes" if told.exists() else "no", flush=True)
client.close()
PY
cat >"$WORK/reset.py" <<'PY'
import os, pathlib, socket, sys, time
import h2.config, h2.connection, h2.events
told = pathlib.Path(os.environ["WORK"]) / "told"
told.unlink(missing_ok=True)
wire = socket.create_connection(("127.0.0.1", int(sys.argv[1])), timeout=5)
h2c = h2.connection.H2Connection(config=h2.config.H2Configuration(client_side=True))
h2c.initiate_connection()
h2c.send_headers(1, [(":method", "GET"), (":path", "/"), (":scheme", "http"), (":authority", "localhost")], end_stream=True)
wire.sendall(h2c.data_to_send())
while not any(isinstance(event, h2.events.DataReceived) for event in h2c.receive_data(wire.recv(65536))):
    wire.sendall(h2c.data_to_send())
h2c.reset_stream(1, error_code=8)  # CANCEL
wire.sendall(h2c.data_to_send())
time.sleep(2)
print("yes" if told.exists() else "no")
PY
export WORK
PORT="$(free_port)"
(cd "$WORK" && exec "$PY" -m hypercorn -b "127.0.0.1:$PORT" streams:app >/dev/null 2>&1) &
STARTED+=("$!")
await_port "$PORT"
told() { "$PY" "$WORK/leave.py" "$1" "http://127.0.0.1:$PORT/" "$2" "$3" || true; }
measured "HTTP/2 by hand, the stream is reset" "yes" "yes" "$("$PY" "$WORK/reset.py" "$PORT" || true)"
for module in httpx httpx2; do
  measured "$module, HTTP/1.1, the block is left" "yes" "yes" "$(told "$module" HTTP/1.1 leave)"
  measured "$module, HTTP/2, the block is left" "yes" "no" "$(told "$module" HTTP/2 leave)"
  measured "$module, HTTP/2, the client is closed" "yes" "yes" "$(told "$module" HTTP/2 close)"
done
finish
