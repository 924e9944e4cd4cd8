#!/usr/bin/env bash
# In pyrate-limiter a coroutine that waits for one key keeps all other keys waiting, those asked with blocking=False too.
#
# try_acquire_async() takes one lock for the whole limiter and keeps it while it sleeps until its own key is free again. Whoever
# asks for a key nobody has used, or wants a yes or no at once, queues behind it. Of threads that call try_acquire() none waits so:
# there the lock is let go before the sleep.
#
# Version: pyrate-limiter 4.5.1 (PyPI).
# Source:  pyrate_limiter/limiter.py, Limiter.try_acquire_async (`async with lock` around the acquire with its waiting), beside
#          _blocking_retry_sync, whose comment says that the lock is not held during the sleep.
# Hurts:   gateways with a limit for each user or model: one user at the limit slows all of them to that user's pace, and
#          blocking=False, with which a 429 should go out at once, hangs for as long as somebody's window.
# Do:      a Limiter for each key; or blocking=False for everybody, and the sleeping in one's own code.
# Seen:    key a is waited for, 2 s. Key b, free, blocking=False: True after 2 s (asyncio), 0 s (threads) | a limiter for each: 0 s
. "$(dirname "$0")/lib.sh"
python_packages pyrate-limiter==4.5.1
cat >"$WORK/keys.py" <<'PY'
import asyncio, signal, sys, threading, time
from pyrate_limiter import BucketFactory, InMemoryBucket, Limiter, Rate, RateItem
signal.alarm(20)
class PerKey(BucketFactory):
    def __init__(self):
        self.of = {}
    def wrap_item(self, name, weight=1):
        return RateItem(name, int(time.monotonic() * 1000), weight=weight)
    def get(self, item):
        if item.name not in self.of:
            self.of[item.name] = self.create(InMemoryBucket, [Rate(1, 2000)])
        return self.of[item.name]
def told(allowed, begun):
    print(allowed, round(time.monotonic() - begun), "s")
async def tasks(of_a, of_b):
    await of_a.try_acquire_async("a")
    waiter = asyncio.create_task(of_a.try_acquire_async("a"))
    await asyncio.sleep(0.1)
    begun = time.monotonic()
    told(await of_b.try_acquire_async("b", blocking=False), begun)
    await waiter
def threads(of_a, of_b):
    of_a.try_acquire("a")
    waiter = threading.Thread(target=of_a.try_acquire, args=("a",))
    waiter.start()
    time.sleep(0.1)
    begun = time.monotonic()
    told(of_b.try_acquire("b", blocking=False), begun)
    waiter.join()
one = Limiter(PerKey())
if sys.argv[1] == "tasks":
    asyncio.run(tasks(one, one))
elif sys.argv[1] == "threads":
    threads(one, one)
else:
    asyncio.run(tasks(one, Limiter(PerKey())))
PY
keyed() { "$PY" "$WORK/keys.py" "$1" || true; }
echo "somebody waits for key a, whose next turn is in two seconds; key b with blocking=False:"
measured "asyncio, one limiter" "True 0 s" "True 2 s" "$(keyed tasks)"
measured "threads, one limiter" "True 0 s" "True 0 s" "$(keyed threads)"
measured "asyncio, a limiter for each key" "True 0 s" "True 0 s" "$(keyed each)"
finish
