#!/usr/bin/env bash
# `uvicorn --limit-concurrency 1` answers 503 to every request, and with 3 two idle connections are enough for a 503.
#
# One expects a bound on what is in progress. uvicorn's help says "connections or tasks", LiteLLM's that idle connections can use
# the limit up; neither says that the connection of the request itself counts, nor that "reached" is too many. So a limit of N
# serves N - 1 clients that stay connected, working or not, and a limit of 1, which LiteLLM's option takes for valid, nobody.
#
# Version: uvicorn 0.54.0 (PyPI), with h11 and with httptools 0.9.0.
# Source:  uvicorn/protocols/http/h11_impl.py line 229, httptools_impl.py line 269 (`len(self.connections) >=
#          self.limit_concurrency`; the connection is in the set before its request is looked at).
# Hurts:   operators who bound a worker that way (`litellm --limit_concurrency`): an SDK's pool of idle connections, or a load
#          balancer or health check that keeps its own, shuts the worker to all while nothing runs, until
#          `--timeout-keep-alive` (5 s) closes them.
# Do:      a limit above the connections of all clients, and another means for requests (a semaphore in a middleware).
# Seen:    limit 1, five requests one behind the other: 503 503 503 503 503 | limit 3, two idle connections: 503, closed: 200
. "$(dirname "$0")/lib.sh"
python_packages uvicorn==0.54.0 httptools==0.9.0
cat >"$WORK/answers_at_once.py" <<'PY'
async def app(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})
PY
cat >"$WORK/ask.py" <<'PY'
import http.client, socket, sys, time
def ask(connection):
    connection.request("GET", "/")
    answer = connection.getresponse()
    answer.read()
    return answer.status
def fresh():
    return http.client.HTTPConnection("127.0.0.1", int(sys.argv[1]), timeout=5)
def once():
    connection = fresh()
    status = ask(connection)
    connection.close()
    time.sleep(0.2)  # the server has seen the end of it
    return status
for _ in range(300):
    try:
        socket.create_connection(("127.0.0.1", int(sys.argv[1]))).close()
        break
    except OSError:
        time.sleep(0.05)
time.sleep(0.2)
if sys.argv[2] == "1":
    print(*[once() for _ in range(5)])
else:
    idle = [fresh(), fresh()]
    begun = [ask(connection) for connection in idle]
    third = once()
    for connection in idle:
        connection.close()
    time.sleep(0.2)
    print(*begun, "then", third, "closed", once())
PY
limited() {
  local port
  port="$(free_port)"
  (cd "$WORK" && exec "$PY" -m uvicorn answers_at_once:app --lifespan off --http "$1" --limit-concurrency "$2" --port "$port" --log-level critical >/dev/null 2>&1) &
  STARTED+=("$!")
  SEEN="$("$PY" "$WORK/ask.py" "$port" "$2")"
}
for http in h11 httptools; do
  limited "$http" 1; measured "$http, limit 1, five requests one behind the other" "200 200 200 200 200" "503 503 503 503 503" "$SEEN"
  limited "$http" 3; measured "$http, limit 3, two that stay connected, then a third" "200 200 then 200 closed 200" "200 200 then 503 closed 200" "$SEEN"
done
finish
