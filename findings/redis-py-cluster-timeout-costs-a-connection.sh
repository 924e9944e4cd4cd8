#!/usr/bin/env bash
# Each pipeline that is given up while a cluster's node is silent costs redis-py's asyncio client a connection for good.
#
# After max_connections of them (100 by default) every call to that node raises MaxConnectionsError, pipeline or not, also
# when the node has long been back: only a new client helps. A plain client's pipelines give theirs back, and so do the
# cluster client's single commands.
#
# Version: redis 8.0.0 (PyPI); not 8.1.0, nor the plain client of 8.0.0. redis-server 7.0 (one node that has all slots).
# Source:  redis/asyncio/cluster.py, ClusterNode.execute_pipeline: a connection is put back behind the answers, outside of
#          any `finally`.
# Hurts:   `asyncio.timeout()` around a pipeline, which is what one does about a slow Redis: one stall of a node, and that
#          process never speaks to it again.
# Do:      redis 8.1.0; before it, no time limit around a cluster's pipeline but socket_timeout.
# Seen:    cluster, pipelines given up MaxConnectionsError, single commands 1; plain, pipelines 1; 8.1.0, pipelines 1
. "$(dirname "$0")/lib.sh"
needs redis-server
cat >"$WORK/stall.py" <<'PY'
import asyncio, os, signal, socket, subprocess, sys, time
import redis
from redis.asyncio import Redis
from redis.asyncio.cluster import RedisCluster
MOST = 5
def listening():
    # The bus listens 10000 above.
    for port in range(21003, 31000, 7):
        with socket.socket() as one, socket.socket() as bus:
            try:
                one.bind(("127.0.0.1", port)), bus.bind(("127.0.0.1", port + 10000))
            except OSError:
                continue
            return port
    raise SystemExit("no free port")
def started(*options):
    port = listening()
    server = subprocess.Popen(["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--dir", sys.argv[1], "--save", "",
                               "--appendonly", "no", *options], stdout=subprocess.DEVNULL)
    plain, deadline = redis.Redis(port=port, retry=None), time.monotonic() + 15
    while True:
        try:
            if options:
                plain.execute_command("CLUSTER ADDSLOTSRANGE", 0, 16383)
            plain.ping()
            break
        except redis.ConnectionError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
    while options and plain.execute_command("CLUSTER INFO")["cluster_state"] != "ok":
        time.sleep(0.1)
    plain.set("a", 1)
    return server, port
async def pipelined(client):
    pipe = client.pipeline(transaction=False)
    pipe.get("a")
    await pipe.execute()
async def single(client):
    await client.get("a")
async def after_a_stall(server, client, call):
    await client.get("a")
    os.kill(server.pid, signal.SIGSTOP)
    for _ in range(MOST):
        try:
            await asyncio.wait_for(call(client), 0.3)
        except asyncio.TimeoutError:
            pass
    os.kill(server.pid, signal.SIGCONT)
    await asyncio.sleep(1)
    try:
        return (await client.get("a")).decode()
    except Exception as error:
        return type(error).__name__
    finally:
        await client.aclose()
for options in (("--cluster-enabled", "yes"), ()):
    server, port = started(*options)
    try:
        made = (lambda: RedisCluster(host="127.0.0.1", port=port, max_connections=MOST)) if options else (
            lambda: Redis(port=port, max_connections=MOST))
        for call in (pipelined, single):
            print(asyncio.run(after_a_stall(server, made(), call)))
    finally:
        server.terminate()
        server.wait()
PY
for version in 8.0.0 8.1.0; do
  python_packages "redis==$version"
  mapfile -t seen < <("$PY" "$WORK/stall.py" "$WORK" 2>"$WORK/errors" || tail -2 "$WORK/errors" >&2)
  rm -f "$WORK"/nodes.conf
  lost="MaxConnectionsError"
  [ "$version" = 8.0.0 ] || lost=1
  measured "$version, cluster, five pipelines given up, then get()" "1" "$lost" "${seen[0]:-}"
  measured "$version, cluster, five commands given up, then get()" "1" "1" "${seen[1]:-}"
  measured "$version, plain, five pipelines given up, then get()" "1" "1" "${seen[2]:-}"
done
finish
