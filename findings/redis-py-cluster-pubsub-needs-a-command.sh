#!/usr/bin/env bash
# The first call on redis-py's asynchronous cluster client must not be a subscription: KeyError with a slot's number.
#
# Any command, a pipeline, a script or a lock finds the cluster's nodes by itself when it is the first one. A pubsub() does not:
# subscribe() looks the channel's slot up in a table that is still empty, ssubscribe() calls the slot uncovered. After any
# command both work, and on the synchronous client, which connects when it is made, always.
#
# Version: redis 8.1.0 (PyPI), redis-server 7.0 (one node that has all slots).
# Source:  redis/asyncio/cluster.py, ClusterPubSub (set_pubsub_node, execute_command) beside RedisCluster.execute_command,
#          which calls initialize().
# Hurts:   processes that only listen: `KeyError: 16287` names neither the client nor the cause, and the same code works in
#          tests where something was written before, and on one Redis without a cluster.
# Do:      `await client.initialize()` before the first pubsub().
# Seen:    first call: get None, subscribe KeyError, ssubscribe SlotNotCoveredError, after initialize() subscribed;
#          synchronous: subscribed
. "$(dirname "$0")/lib.sh"
needs redis-server
python_packages redis==8.1.0
cat >"$WORK/first.py" <<'PY'
import asyncio, socket, subprocess, sys, time
import redis
from redis.asyncio.cluster import RedisCluster
from redis.cluster import RedisCluster as Synchronous
def listening():
    # The bus listens 10000 above.
    for port in range(21000, 31000, 7):
        with socket.socket() as one, socket.socket() as bus:
            try:
                one.bind(("127.0.0.1", port)), bus.bind(("127.0.0.1", port + 10000))
            except OSError:
                continue
            return port
    raise SystemExit("no free port")
port = listening()
server = subprocess.Popen(["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--cluster-enabled", "yes", "--dir", sys.argv[1],
                           "--save", "", "--appendonly", "no"], stdout=subprocess.DEVNULL)
async def first(call):
    client = RedisCluster(host="127.0.0.1", port=port)
    try:
        return await call(client)
    except Exception as error:
        return type(error).__name__
    finally:
        await client.aclose()
async def subscribe(client):
    listener = client.pubsub()
    await listener.subscribe("channel")
    said = await listener.get_message(timeout=2)
    await listener.aclose()
    return f"{said['type']}d"
async def sharded(client):
    await client.pubsub().ssubscribe("channel")
    return "subscribed"
async def readied(client):
    await client.initialize()
    return await subscribe(client)
try:
    plain = redis.Redis(port=port, retry=None)
    deadline = time.monotonic() + 10
    while True:
        try:
            plain.execute_command("CLUSTER ADDSLOTSRANGE", 0, 16383)
            break
        except redis.ConnectionError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
    while plain.execute_command("CLUSTER INFO")["cluster_state"] != "ok":
        time.sleep(0.1)
    for call in (lambda client: client.get("a"), subscribe, sharded, readied):
        print(asyncio.run(first(call)))
    listener = Synchronous(host="127.0.0.1", port=port).pubsub()
    listener.subscribe("channel")
    print(f"{listener.get_message(timeout=2)['type']}d")
finally:
    server.terminate()
    server.wait()
PY
mapfile -t seen < <("$PY" "$WORK/first.py" "$WORK" 2>"$WORK/errors" || tail -2 "$WORK/errors" >&2)
measured "asynchronous, first call get()" "None" "None" "${seen[0]:-}"
measured "asynchronous, first call subscribe()" "subscribed" "KeyError" "${seen[1]:-}"
measured "asynchronous, first call ssubscribe()" "subscribed" "SlotNotCoveredError" "${seen[2]:-}"
measured "asynchronous, initialize() and subscribe()" "subscribed" "subscribed" "${seen[3]:-}"
measured "synchronous, first call subscribe()" "subscribed" "subscribed" "${seen[4]:-}"
finish
