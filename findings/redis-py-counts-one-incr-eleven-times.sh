#!/usr/bin/env bash
# redis-py sends a command whose answer is late ten times more, INCR and EVALSHA included; valkey-py sends it once.
#
# The defaults of 8.x: an answer must come within 5 seconds, and after a timeout or a lost connection the command goes out
# again on a new connection, ten times at most, whatever it does. A server that was only slow has done each of them. With the old
# defaults (no time limit, no retry) it waited.
#
# Version: redis 8.1.0, valkey 6.2.0 (PyPI).
# Source:  redis/_defaults.py line 7 (DEFAULT_SOCKET_TIMEOUT = 5) and 37 (DEFAULT_RETRY_COUNT = 10); redis/client.py line 285.
# Hurts:   users of a proxy whose counters live in Redis: a pause of the server (a fork, a slow script, a failover) counts
#          one request up to eleven times, so keys run into limits that nobody has used up; and the call takes a minute to fail.
# Do:      Redis(retry=Retry(NoBackoff(), 0)) for commands that count, or scripts that know a request by its id.
# Seen:    INCRs at the server for one incr(): redis 11, redis.asyncio 11, without retries 1, valkey 1; after one lost
#          answer: redis 2 (and returns 2), valkey 1 (ConnectionError)
. "$(dirname "$0")/lib.sh"
python_packages redis==8.1.0 valkey==6.2.0
cat >"$WORK/count.py" <<'PY'
import asyncio, socketserver, sys, threading
import redis, redis.asyncio, redis.backoff, redis.retry, valkey
module, how = sys.argv[1:]
class Server(socketserver.ThreadingTCPServer):
    daemon_threads = allow_reuse_address = True
    counted = 0
class Talk(socketserver.StreamRequestHandler):
    def handle(self):
        while line := self.rfile.readline():
            words = [self.rfile.read(int(self.rfile.readline()[1:]) + 2)[:-2] for _ in range(int(line[1:]))]
            if words[0] == b"HELLO":
                self.wfile.write(b"%1\r\n$5\r\nproto\r\n:3\r\n")
            elif words[0] == b"CLIENT":
                self.wfile.write(b"+OK\r\n")
            else:
                server.counted += 1
                if how == "lost" and server.counted == 1:
                    return
                if how == "lost":
                    self.wfile.write(b":%d\r\n" % server.counted)
server = Server(("127.0.0.1", 0), Talk)
threading.Thread(target=server.serve_forever, daemon=True).start()
options = {"port": server.server_address[1], "socket_timeout": None if how == "lost" else 0.2}  # the default is 5 s
if how == "once":
    options["retry"] = redis.retry.Retry(redis.backoff.NoBackoff(), 0)
async def asynchronous():
    return await redis.asyncio.Redis(**options).incr("requests")
try:
    got = asyncio.run(asynchronous()) if module == "redis.asyncio" else {"redis": redis, "valkey": valkey}[module].Redis(**options).incr("requests")
except Exception as error:
    got = type(error).__name__
print(server.counted, got)
PY
measured "redis, no answer in time" "1 TimeoutError" "11 TimeoutError" "$("$PY" "$WORK/count.py" redis late)"
measured "redis.asyncio, no answer in time" "1 TimeoutError" "11 TimeoutError" "$("$PY" "$WORK/count.py" redis.asyncio late)"
measured "redis, without retries" "1 TimeoutError" "1 TimeoutError" "$("$PY" "$WORK/count.py" redis once)"
measured "valkey, no answer in time" "1 TimeoutError" "1 TimeoutError" "$("$PY" "$WORK/count.py" valkey late)"
measured "redis, one answer lost" "1 ConnectionError" "2 2" "$("$PY" "$WORK/count.py" redis lost)"
measured "valkey, one answer lost" "1 ConnectionError" "1 ConnectionError" "$("$PY" "$WORK/count.py" valkey lost)"
finish
