#!/usr/bin/env bash
# An exception in a FastAPI endpoint that streams by fastapi.sse ends the client's stream well.
#
# Once the status is out, an exception can only be told by a body that lacks its last chunk. StreamingResponse and sse-starlette
# leave it so: the client gets a read error. FastAPI's own EventSourceResponse runs the generator in a task behind a queue; the
# queue is over when the task is, whatever ended it, and the last chunk is written.
#
# Version: fastapi 0.165.0, starlette 1.10.0, sse-starlette 3.7.0, uvicorn 0.54.0 (PyPI).
# Source:  fastapi/routing.py, _producer (`async with send_stream` closes the queue before anybody knows of the exception).
# Hurts:   users of a gateway or an agent's server that is built on it: a provider that fails in mid-answer is a traceback in
#          the server's log and half an answer at the client, which nothing tells from a whole one.
# Do:      catch exceptions in the generator and yield an error event; in a client, look for the stream's own end.
# Seen:    StreamingResponse: cut | sse-starlette: cut | fastapi.sse: whole
. "$(dirname "$0")/lib.sh"
python_packages fastapi==0.165.0 starlette==1.10.0 sse-starlette==3.7.0 uvicorn==0.54.0
cat >"$WORK/fails.py" <<'PY'
import asyncio
from fastapi import FastAPI
from fastapi.sse import EventSourceResponse
from sse_starlette import EventSourceResponse as OtherResponse
from starlette.responses import StreamingResponse
app = FastAPI()
async def answer(word):
    yield word
    await asyncio.sleep(0.5)
    raise RuntimeError("the model is gone")
@app.post("/fastapi", response_class=EventSourceResponse)
async def by_fastapi():
    async for word in answer("A"):
        yield word
@app.post("/sse_starlette")
async def by_sse_starlette():
    return OtherResponse(answer({"data": "A"}))
@app.post("/starlette")
async def by_starlette():
    return StreamingResponse(answer("data: A\n\n"), media_type="text/event-stream")
PY
cat >"$WORK/ask.py" <<'PY'
import socket, sys, time
def ask(name):
    client = socket.create_connection(("127.0.0.1", int(sys.argv[1])), timeout=10)
    client.sendall(b"POST /%s HTTP/1.1\r\nhost: localhost\r\ncontent-length: 0\r\n\r\n" % name.encode())
    read = b""
    while not read.endswith(b"\r\n0\r\n\r\n") and (more := client.recv(65536)):
        read += more
    return ("A " if b"data: " in read else "") + ("whole" if read.endswith(b"\r\n0\r\n\r\n") else "cut")
for _ in range(600):
    try:
        socket.create_connection(("127.0.0.1", int(sys.argv[1]))).close()
        break
    except OSError:
        time.sleep(0.05)
for name in ("starlette", "sse_starlette", "fastapi"):
    print(name, *sorted({ask(name) for _ in range(5)}))
PY
PORT="$(free_port)"
(cd "$WORK" && exec "$PY" -m uvicorn fails:app --port "$PORT" --log-level critical >/dev/null 2>&1) &
STARTED+=("$!")
python3 "$WORK/ask.py" "$PORT" >"$WORK/seen"
seen() { sed -n "s/^$1 //p" "$WORK/seen"; }
echo "the generator says A and raises; the client's body, five times:"
measured "StreamingResponse" "A cut" "A cut" "$(seen starlette)"
measured "sse-starlette" "A cut" "A cut" "$(seen sse_starlette)"
measured "fastapi.sse" "A cut" "A whole" "$(seen fastapi)"
finish
