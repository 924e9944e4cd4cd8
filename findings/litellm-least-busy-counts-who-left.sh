#!/usr/bin/env bash
# `least-busy` goes on counting a stream that its reader left: each one drives LiteLLM's Router off a deployment that is idle.
#
# The count goes up as the request is sent and down when its success or failure is logged, and a stream that is closed by aclose(), or left
# by break, logs neither. A call that is cancelled before the stream's first byte does give its count back.
#
# Version: litellm 1.110.2 (PyPI).
# Source:  litellm/router_strategy/least_busy.py, log_pre_api_call, _settle; line 26, IN_FLIGHT_COUNT_TTL_SECONDS, how long the count
#          is kept: an hour.
# Hurts:   gateways and agents on the Router itself: users who press stop make a deployment look busy, and the requests behind them go to
#          the other one.
# Do:      read on to the end in the background; or another routing strategy.
# Seen:    two streams of one deployment, then a second one beside it, both idle; counted at the first 10 s later at most, and three requests,
#          one behind the other, at first and second: the two read whole 0, 3 0; left by aclose() 2, 0 3; by break and del 2, 0 3; cancelled
#          before the first byte 0, 3 0
. "$(dirname "$0")/lib.sh"
python_packages litellm==1.110.2
unset PYTHONDONTWRITEBYTECODE
provider <<'PY'
from provider import *
# A stream with a pause is the last on its connection: said, so that nobody sends on it.
stream = sse(chat("A"), 0.2, chat("B"), chat(None, "stop"), DONE, headers={"connection": "close"})
silent = sse(chat("A"), silent=30.0)  # is cancelled
ANSWERS = {"first": stream, "second": stream, "thinks": [silent, silent, stream]}
PY
cat >"$WORK/leave.py" <<'PY'
import asyncio, gc, logging, os, pathlib
os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
import litellm
litellm.suppress_debug_info = True
logging.disable(logging.CRITICAL)
def deployment(name):
    params = {"model": "openai/m", "api_key": "none", "api_base": f"{os.environ['PROVIDER']}/{name}"}
    return {"model_name": "m", "litellm_params": params, "model_info": {"id": name}}
async def soon(met):
    """Until it is so, for 10 s at most."""
    for _ in range(200):
        if met():
            return
        await asyncio.sleep(0.05)
def asked(name):
    return pathlib.Path(os.environ["WORK"], "log").read_text().count(f"{name} request")
async def played(how):
    first = "thinks" if how == "cancel" else "first"
    router = litellm.Router(model_list=[deployment(first)], routing_strategy="least-busy", num_retries=0)
    ask = lambda: router.acompletion(model="m", messages=[{"role": "user", "content": "x"}], stream=True)
    counted = lambda name: router.health().store.get_cache(f"m_request_count:{name}", local_only=True) or 0
    for turn in range(2):
        if how == "cancel":
            task = asyncio.ensure_future(ask())
            await soon(lambda: asked(first) == turn + 1)
            task.cancel()
            await asyncio.wait([task])
            continue
        stream = await ask()
        async for _ in stream:
            if how != "whole":
                break
        if how == "aclose":
            await stream.aclose()
        del stream
        gc.collect()
    await soon(lambda: not counted(first))
    left = counted(first)
    router.add_deployment(litellm.types.router.Deployment(**deployment("second")))
    went = []
    for _ in range(3):
        stream = await ask()
        went.append(stream._hidden_params["model_id"])
        async for _ in stream:
            pass
        await soon(lambda: not counted(went[-1]))
    print(how, f"{left},", went.count(first), went.count("second"))
async def main():
    for how in ("whole", "aclose", "del", "cancel"):
        await played(how)
asyncio.run(main())
PY
WORK="$WORK" "$PY" "$WORK/leave.py" >"$WORK/seen" 2>"$WORK/errors" || tail -3 "$WORK/errors"
seen() { sed -n "s/^$1 //p" "$WORK/seen"; }
echo "two streams of the first deployment: how many it counts behind them; then three requests, at the first, at the second deployment:"
measured "the two were read to the end" "0, 3 0" "0, 3 0" "$(seen whole)"
measured "left by aclose()" "0, 3 0" "2, 0 3" "$(seen aclose)"
measured "left by break and del" "0, 3 0" "2, 0 3" "$(seen del)"
measured "cancelled before the first byte" "0, 3 0" "0, 3 0" "$(seen cancel)"
finish
