#!/usr/bin/env bash
# One user who presses stop opens opossum's circuit breaker for everybody, if he is the first; five in a row open purgatory's.
#
# An abort by the caller's own signal rejects the promise, and to opossum each rejection is a failure of the server: one of one is more
# than its 50 %, and the least number of calls before it judges (`volumeThreshold`) is 0. purgatory counts a CancelledError like
# any exception. pybreaker does too, and instead of the fifth CancelledError raises its own error in the task that was being cancelled.
#
# Version: opossum 9.0.0 (npm, Node 20.20), purgatory 3.0.1, pybreaker 1.4.1, aiobreaker 1.2.0 (PyPI).
# Source:  opossum lib/circuit.js, handleError and fail; purgatory/service/_async/circuitbreaker.py, __aexit__; pybreaker/__init__.py,
#          generator_call (`except BaseException`).
# Hurts:   gateways and agents with a breaker for each model: a healthy model is shut for 30 s or more because people changed their
#          minds; and a task that answers its cancellation with another error is taken for one that failed, by TaskGroup and timeout() too.
# Do:      opossum: `errorFilter: (error) => error.name === "AbortError"`, a volumeThreshold; purgatory: `exclude=[asyncio.CancelledError]`.
# Seen:    cancelled calls until a healthy call is refused: opossum 1, with errorFilter none of 9, purgatory 5, with exclude none of 9,
#          pybreaker 5, aiobreaker none of 9 | the task that was cancelled fifth: pybreaker CircuitBreakerError, the others CancelledError
. "$(dirname "$0")/lib.sh"
node_packages opossum@9.0.0
python_packages purgatory==3.0.1 pybreaker==1.4.1 aiobreaker==1.2.0
node_run >"$WORK/node" <<'JS' || echo "the script failed" >&2
import CircuitBreaker from "opossum";
const ask = (signal) => (signal ? new Promise((done, fail) => signal.addEventListener("abort", () => fail(signal.reason))) : Promise.resolve("answer"));
const aborts = async (options) => {
  for (let n = 1; n < 10; n++) {
    const breaker = new CircuitBreaker(ask, { timeout: false, ...options });
    for (let i = 0; i < n; i++) {
      const controller = new AbortController();
      const asked = breaker.fire(controller.signal).catch(() => {});
      controller.abort();
      await asked;
    }
    const told = await breaker.fire().catch((error) => error.code);
    breaker.shutdown();
    if (told === "EOPENBREAKER") return n;
  }
  return "none of 9";
};
console.log("plain", await aborts({}));
console.log("filter", await aborts({ errorFilter: (error) => error.name === "AbortError" }));
process.exit();
JS
cat >"$WORK/cancel.py" <<'PY'
import asyncio, sys
import aiobreaker, purgatory, pybreaker
async def hangs():
    await asyncio.sleep(60)
async def answers():
    return "answer"
def purgatories(**more):
    factory = purgatory.AsyncCircuitBreakerFactory(default_threshold=5, default_ttl=30, **more)
    async def call(job):
        async with await factory.get_breaker("model"):
            return await job()
    return call
def pybreakers():
    breaker = pybreaker.CircuitBreaker(fail_max=5, reset_timeout=30)
    async def call(job):
        with breaker.calling():
            return await job()
    return call
MAKE = {
    "purgatory": purgatories,
    "exclude": lambda: purgatories(exclude=[asyncio.CancelledError]),
    "pybreaker": pybreakers,
    "aiobreaker": lambda: aiobreaker.CircuitBreaker(fail_max=5).call_async,
}
async def hang_up(call):
    task = asyncio.ensure_future(call(hangs))
    await asyncio.sleep(0.02)
    task.cancel()
    try:
        await task
    except BaseException as error:
        return type(error).__name__
async def main(make):
    call, told = make(), []
    for n in range(1, 10):
        told.append(await hang_up(call))
        try:
            # A success in between would take the failures back: a breaker of its own for each number.
            other = make()
            for _ in range(n):
                await hang_up(other)
            await other(answers)
        except Exception:
            print(n, "->", told[-1])
            return
    print("none of 9 ->", told[4])
asyncio.run(main(MAKE[sys.argv[1]]))
PY
seen() { "$PY" "$WORK/cancel.py" "$1" || true; }
node_seen() { sed -n "s/^$1 //p" "$WORK/node"; }
echo "users who hang up, one behind the other, until a healthy call is refused; what the task of the last (or fifth) raised:"
measured "opossum" "none of 9" "1" "$(node_seen plain)"
measured "opossum, errorFilter" "none of 9" "none of 9" "$(node_seen filter)"
measured "purgatory" "none of 9 -> CancelledError" "5 -> CancelledError" "$(seen purgatory)"
measured "purgatory, exclude" "none of 9 -> CancelledError" "none of 9 -> CancelledError" "$(seen exclude)"
measured "pybreaker" "5 -> CancelledError" "5 -> CircuitBreakerError" "$(seen pybreaker)"
measured "aiobreaker" "none of 9 -> CancelledError" "none of 9 -> CancelledError" "$(seen aiobreaker)"
finish
