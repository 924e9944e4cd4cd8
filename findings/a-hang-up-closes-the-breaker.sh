#!/usr/bin/env bash
# A cancelled call is a success to two circuit breakers: it takes all failures back, and as the probe of an open breaker it closes it.
#
# Both ask only whether the call raised the expected exception, Exception if nothing is said. asyncio's CancelledError is none, so that a
# client who gives up waiting for a model that hangs counts as one who was answered. aiobreaker leaves the count as it was.
#
# Version: circuitbreaker 2.1.3, aiocircuitbreaker 2.0.0, aiobreaker 1.2.0 (PyPI).
# Source:  circuitbreaker.py, CircuitBreaker.__exit__ (`else: self.reset()`); aiocircuitbreaker/aiocircuitbreaker.py, __exit__ (`else:
#          self.__call_succeeded()`).
# Hurts:   gateways with a breaker for each model: while a model fails and hangs by turns the users who leave keep its breaker closed, and
#          where it is open the first one who leaves lets all traffic at the model again; each call holds its slot until somebody gives up.
# Do:      a predicate that knows BaseException too (circuitbreaker), expected_exception=BaseException (aiocircuitbreaker); or a time
#          limit of one's own inside the guarded call, which raises TimeoutError.
# Seen:    threshold 5. 4 failures, one cancelled, 1 failure: both closed; aiobreaker open | the probe of an open one cancelled: both closed, and
#          of three failing calls behind it 3 reach the model; aiobreaker half-open, 1 | a predicate that is always true, BaseException: open,
#          open, 0
. "$(dirname "$0")/lib.sh"
python_packages circuitbreaker==2.1.3 aiocircuitbreaker==2.0.0 aiobreaker==1.2.0
cat >"$WORK/breakers.py" <<'PY'
import asyncio, datetime, sys
import aiobreaker, aiocircuitbreaker, circuitbreaker
reached = []
async def fails():
    reached.append(1)
    raise ConnectionError
async def hangs():
    await asyncio.sleep(60)
def decorated(kind, **more):
    breaker = kind(failure_threshold=5, recovery_timeout=1, name="model", **more)
    return breaker.decorate, lambda: getattr(breaker.state, "name", breaker.state).lower()
def aio():
    breaker = aiobreaker.CircuitBreaker(fail_max=5, timeout_duration=datetime.timedelta(seconds=1))
    return lambda call: lambda: breaker.call_async(call), lambda: breaker.current_state.name.lower()
MAKE = {
    "circuitbreaker": lambda: decorated(circuitbreaker.CircuitBreaker),
    "aiocircuitbreaker": lambda: decorated(aiocircuitbreaker.CircuitBreaker),
    "aiobreaker": aio,
    "predicate": lambda: decorated(circuitbreaker.CircuitBreaker, expected_exception=lambda kind, error: True),
    "base": lambda: decorated(aiocircuitbreaker.CircuitBreaker, expected_exception=BaseException),
}
async def failures(guard, times):
    for _ in range(times):
        try:
            await guard(fails)()
        except Exception:
            pass
async def hang_up(guard):
    task = asyncio.ensure_future(guard(hangs)())
    await asyncio.sleep(0.1)
    task.cancel()
    await asyncio.wait([task])
async def main(name):
    guard, state = MAKE[name]()
    await failures(guard, 4)
    await hang_up(guard)
    await failures(guard, 1)
    first = state()
    guard, state = MAKE[name]()
    await failures(guard, 5)
    assert state() == "open"
    await asyncio.sleep(1.2)
    await hang_up(guard)
    probed = state()
    reached.clear()
    await failures(guard, 3)
    print(f"{first}, {probed}, {len(reached)} of 3")
asyncio.run(main(sys.argv[1]))
PY
seen() { "$PY" "$WORK/breakers.py" "$1" || true; }
echo "a breaker after 4 failures, a cancelled call and 1 failure; one that was open, after its probe was cancelled; failing calls it lets through then:"
measured "circuitbreaker" "open, half_open, 1 of 3" "closed, closed, 3 of 3" "$(seen circuitbreaker)"
measured "aiocircuitbreaker" "open, half_open, 1 of 3" "closed, closed, 3 of 3" "$(seen aiocircuitbreaker)"
measured "aiobreaker" "open, half_open, 1 of 3" "open, half_open, 1 of 3" "$(seen aiobreaker)"
measured "circuitbreaker, expected_exception=lambda kind, error: True" "open, open, 0 of 3" "open, open, 0 of 3" "$(seen predicate)"
measured "aiocircuitbreaker, expected_exception=BaseException" "open, open, 0 of 3" "open, open, 0 of 3" "$(seen base)"
finish
