#!/usr/bin/env bash
# In BlackSheep and Falcon a streaming endpoint generates to its end for a client that left long ago; in Robyn it never ends.
#
# uvicorn tells of the leaving, and lets an application that sends on do so without a word. Starlette and Quart read receive()
# beside the stream and cancel the generator; BlackSheep never reads it while it streams, Falcon does for resp.sse and not for resp.stream.
# Robyn, whose server is its own, asks for no further chunk and leaves the generator where it stands, its `finally` never run; Sanic,
# whose server is its own too, cancels.
#
# Version: blacksheep 2.6.4, falcon 4.4.0, robyn 0.88.0, starlette 1.10.0, quart 0.22.0, sanic 25.12.1, uvicorn 0.54.0 (PyPI).
# Source:  blacksheep/scribe.py, send_asgi_response (for each part: send), falcon/asgi/app.py (watch_disconnect under `if resp._sse` alone).
# Hurts:   operators of a gateway: a user who presses stop ends nothing, the model's answer is read and paid for to its last word, and its
#          place in a limit of parallel requests stays taken.
# Do:      resp.sse in Falcon; elsewhere read receive() beside the stream, or take a framework that does.
# Seen:    client leaves after the first of 12 chunks, one each 0.25 s. Generator: starlette, quart, sanic cancelled; falcon
#          resp.sse closed; falcon resp.stream, blacksheep ran to the end; robyn still suspended after twice the time
. "$(dirname "$0")/lib.sh"
python_packages blacksheep==2.6.4 falcon==4.4.0 robyn==0.88.0 starlette==1.10.0 quart==0.22.0 sanic==25.12.1 uvicorn==0.54.0
cat >"$WORK/apps.py" <<'PY'
import asyncio, os, pathlib, sys
NAME = os.environ["APP"]
async def words():
    outcome = "cancelled"
    try:
        for _ in range(12):
            yield b"data: A\n\n"
            await asyncio.sleep(0.25)
        outcome = "ran to the end"
    except GeneratorExit:
        outcome = "closed"
        raise
    finally:
        pathlib.Path(os.environ["OUTCOME"]).write_text(outcome + "\n")
if NAME == "starlette":
    from starlette.applications import Starlette
    from starlette.responses import StreamingResponse
    from starlette.routing import Route
    async def serve(request):
        return StreamingResponse(words(), media_type="text/event-stream")
    app = Starlette(routes=[Route("/", serve)])
elif NAME == "quart":
    from quart import Quart
    app = Quart("x")
    @app.get("/")
    async def serve():
        return words(), {"content-type": "text/event-stream"}
elif NAME in ("falcon_stream", "falcon_sse"):
    import falcon.asgi
    async def events():
        async for word in words():
            yield falcon.asgi.SSEvent(data=b"A")
    class Serve:
        async def on_get(self, request, response):
            response.content_type = "text/event-stream"
            if NAME == "falcon_sse":
                response.sse = events()
            else:
                response.stream = words()
    app = falcon.asgi.App()
    app.add_route("/", Serve())
elif NAME == "blacksheep":
    from blacksheep import Application, Response, StreamedContent, get
    app = Application()
    @get("/")
    async def serve():
        return Response(200, content=StreamedContent(b"text/event-stream", words))
elif NAME == "sanic":
    from sanic import Sanic
    app = Sanic("x")
    @app.get("/")
    async def serve(request):
        response = await request.respond(content_type="text/event-stream")
        async for word in words():
            await response.send(word)
elif NAME == "robyn":
    from robyn import Robyn, StreamingResponse
    app = Robyn(__file__)
    async def text():
        async for word in words():
            yield word.decode()
    @app.get("/")
    async def serve(request):
        return StreamingResponse(text(), media_type="text/event-stream")
    if __name__ == "__main__":
        app.start(host="127.0.0.1", port=int(sys.argv[1]))
PY
cat >"$WORK/leave.py" <<'PY'
import socket, sys, time
for port in sys.argv[1:]:
    for _ in range(800):
        try:
            client = socket.create_connection(("127.0.0.1", int(port)), timeout=5)
            break
        except OSError:
            time.sleep(0.05)
    client.sendall(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n")
    read = b""
    while b"data: A" not in read:
        read += client.recv(65536) or sys.exit("closed before the first word")
    client.close()
PY
PORTS=()
serve() {
  local name="$1" port
  port="$(free_port)"
  case "$name" in
    robyn) set -- apps.py "$port" ;;
    sanic) set -- -m sanic apps:app --host 127.0.0.1 --port "$port" --single-process ;;
    *) set -- -m uvicorn apps:app --port "$port" --log-level critical ;;
  esac
  (cd "$WORK" && export APP="$name" OUTCOME="$WORK/$name.outcome" && exec "$PY" "$@" >/dev/null 2>&1) &
  STARTED+=("$!")
  PORTS+=("$port")
}
outcome() { cat "$WORK/$1.outcome" 2>/dev/null || echo "left suspended"; }
APPS=(starlette quart sanic falcon_sse falcon_stream blacksheep robyn)
for name in "${APPS[@]}"; do serve "$name"; done
"$PY" "$WORK/leave.py" "${PORTS[@]}"
sleep 6
echo "the client has left after the first of 12 chunks; the generator:"
for name in starlette quart sanic; do measured "$name" "cancelled" "cancelled" "$(outcome "$name")"; done
measured "falcon, resp.sse" "cancelled" "closed" "$(outcome falcon_sse)"
measured "falcon, resp.stream" "cancelled" "ran to the end" "$(outcome falcon_stream)"
measured "blacksheep, StreamedContent" "cancelled" "ran to the end" "$(outcome blacksheep)"
measured "robyn, StreamingResponse" "cancelled" "left suspended" "$(outcome robyn)"
# Its stream is open to it still: not in good order, then.
{ kill -9 "${STARTED[-1]}" && wait "${STARTED[-1]}"; } 2>/dev/null || true
finish
