#!/usr/bin/env bash
# hypercorn and daphne tell an application once that the client left; who asks a second time waits for good.
#
# uvicorn and granian answer each receive() after the end with http.disconnect, also to two that wait at a time. In
# hypercorn and daphne the message is one entry of a queue: the first reader takes it, and the second, or the first when it
# asks again, waits in vain.
#
# Version: uvicorn 0.54.0, granian 2.8.9, hypercorn 0.18.0, daphne 4.2.3 (PyPI).
# Source:  hypercorn/protocol/http_stream.py line 132, daphne/http_protocol.py line 335 (one put for each);
#          uvicorn/protocols/http/h11_impl.py, receive (a state, not a message).
# Hurts:   operators who change servers (LiteLLM has --run_hypercorn): of a middleware and an application that both listen,
#          to stop a model's answer nobody reads, the one that listens second hears nothing.
# Do:      one reader of receive() for each request, which tells the others by an event.
# Seen:    two receive() wait, the client leaves: uvicorn 2 told, granian 2, hypercorn 1, daphne 1 | asked again: 1, 1, 0, 0
. "$(dirname "$0")/lib.sh"
python_packages uvicorn==0.54.0 granian==2.8.9 hypercorn==0.18.0 daphne==4.2.3
cat >"$WORK/listens.py" <<'PY'
import asyncio, os, pathlib
async def told(receive):
    try:
        return (await asyncio.wait_for(receive(), 2))["type"] == "http.disconnect"
    except TimeoutError:
        return False
async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            kind = (await receive())["type"]
            await send({"type": f"{kind}.complete"})
            if kind == "lifespan.shutdown":
                return
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/event-stream")]})
    await send({"type": "http.response.body", "body": b"data: A\n\n", "more_body": True})
    both = await asyncio.gather(told(receive), told(receive))
    again = await told(receive)
    outcome = pathlib.Path(os.environ["OUTCOME"])
    outcome.with_suffix(".part").write_text(f"{sum(both)} {int(again)}\n")
    outcome.with_suffix(".part").rename(outcome)
PY
cat >"$WORK/leave.py" <<'PY'
import socket, sys, time
for _ in range(300):
    try:
        client = socket.create_connection(("127.0.0.1", int(sys.argv[1])), timeout=5)
        break
    except OSError:
        time.sleep(0.05)
client.sendall(b"POST / HTTP/1.1\r\nhost: localhost\r\ncontent-length: 2\r\n\r\n{}")
read = b""
while b"data: A" not in read:
    read += client.recv(65536)
time.sleep(0.3)  # both wait by now
client.close()
PY
told_by() {
  local name="$1" port
  port="$(free_port)"
  export OUTCOME="$WORK/$name.told"
  case "$name" in
    uvicorn) set -- -m uvicorn listens:app --port "$port" --log-level error ;;
    granian) set -- -m granian --interface asgi --port "$port" --no-ws listens:app ;;
    hypercorn) set -- -m hypercorn -b "127.0.0.1:$port" listens:app ;;
    daphne) set -- -m daphne -p "$port" listens:app ;;
  esac
  (cd "$WORK" && exec "$PY" "$@" >/dev/null 2>&1) &
  STARTED+=("$!")
  "$PY" "$WORK/leave.py" "$port"
  await_file "$OUTCOME"
  SEEN="$(cat "$OUTCOME")"
}
echo "told while two waited, told again:"
told_by uvicorn; measured "uvicorn" "2 1" "2 1" "$SEEN"
told_by granian; measured "granian" "2 1" "2 1" "$SEEN"
told_by hypercorn; measured "hypercorn" "2 1" "1 0" "$SEEN"
told_by daphne; measured "daphne" "2 1" "1 0" "$SEEN"
finish
