#!/usr/bin/env bash
# A deployment that answers 404 once leaves LiteLLM's Router without its model, though it is the only one; after 429, 500 and 503 it stays.
#
# A deployment alone in its group is spared the cooldown when its server fails, as there is nobody else to go to. A 404 or a 401 takes it
# out all the same, as a status that makes no sense to retry. Of a group of two, one such answer of each leaves nobody. Until
# cooldown_time is over, five seconds unless it is set, each call gets a RouterRateLimitError of status 429.
#
# Version: litellm 1.110.2 (PyPI).
# Source:  litellm/router_rust/core.py, _cooldown_set: the Router's core, in Rust, has decided by then. The same rule in Python:
#          litellm/router_utils/cooldown_handlers.py, _is_cooldown_required (401, 402, 404, 408) and _should_cooldown_deployment (`elif
#          litellm.should_retry(status_code=…) is False: return True`, without a look at the group's size). constants.py line 160: the 5 s.
# Hurts:   programs on the Router: a server that says 404 once, as while its model is rolled out, or 401, as while a key is changed, is taken
#          out where a 503 leaves it in, and the calls behind it fail as rate limits.
# Do:      `disable_cooldowns=True` where each model has one deployment.
# Seen:    one deployment, one answer of 404: next caller 429; 401: 429; 400, 403, 408, 422, 429, 500, 503: answered | two deployments, a 404
#          from each: 429; a 500 from each: answered | disable_cooldowns, one deployment, 404: answered
. "$(dirname "$0")/lib.sh"
python_packages litellm==1.110.2
unset PYTHONDONTWRITEBYTECODE
provider <<'PY'
from provider import *
STATUSES = (400, 401, 403, 404, 408, 422, 429, 500, 503)
def once(status):
    return [body({"error": {"message": "no", "type": "invalid_request_error"}}, status), body(answer())]
ANSWERS = {f"{deployment}{status}": once(status) for status in STATUSES for deployment in ("alone", "first", "second", "spared")}
PY
cat >"$WORK/ask.py" <<'PY'
import asyncio, logging, os
os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
import litellm
litellm.suppress_debug_info = True
logging.disable(logging.CRITICAL)
def router(names, **more):
    params = [{"model": "openai/m", "api_key": "none", "api_base": f"{os.environ['PROVIDER']}/{name}", "max_retries": 0} for name in names]
    return litellm.Router(model_list=[{"model_name": "m", "litellm_params": one} for one in params], num_retries=0, **more)
async def ask(of):
    try:
        await of.acompletion(model="m", messages=[{"role": "user", "content": "x"}])
        return "answered"
    except Exception as error:
        return getattr(error, "status_code", type(error).__name__)
async def main():
    for status in (400, 401, 403, 404, 408, 422, 429, 500, 503):
        of = router([f"alone{status}"])
        assert await ask(of) != "answered"
        print("alone", status, await ask(of))
    of = router(["spared404"], disable_cooldowns=True)
    assert await ask(of) == 404
    print("spared 404", await ask(of))
    for status in (404, 500):
        of, failed = router([f"first{status}", f"second{status}"]), 0
        while failed < 2:
            failed += await ask(of) != "answered"
        print("two", status, await ask(of))
asyncio.run(main())
PY
"$PY" "$WORK/ask.py" >"$WORK/seen" 2>"$WORK/errors" || tail -3 "$WORK/errors"
seen() { sed -n "s/^$1 $2 //p" "$WORK/seen"; }
echo "what the next caller of the model gets:"
for status in 400 403 408 422 429 500 503; do measured "one deployment, after a $status" "answered" "answered" "$(seen alone $status)"; done
measured "one deployment, after a 401" "answered" "429" "$(seen alone 401)"
measured "one deployment, after a 404" "answered" "429" "$(seen alone 404)"
measured "two deployments, after a 404 of each" "answered" "429" "$(seen two 404)"
measured "one deployment, disable_cooldowns, after a 404" "answered" "answered" "$(seen spared 404)"
measured "two deployments, after a 500 of each" "answered" "answered" "$(seen two 500)"
finish
