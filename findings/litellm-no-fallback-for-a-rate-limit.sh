#!/usr/bin/env bash
# A stream whose provider says 429 in it gets no fallback from LiteLLM 1.81's Router; one that says 502 does.
#
# Inside a stream every 4xx went to the caller as a fault of its own, and a rate limit is a 4xx. 1.82.6 makes an exception
# of it. A 429 as the answer's status had its fallback before, too.
#
# Version: litellm 1.81.16 and 1.82.6 (PyPI).
# Source:  litellm/litellm_core_utils/streaming_handler.py (1.81.16 lines 2142 to 2149, 1.82.6 lines 2288 to 2304).
# Hurts:   users of a proxy of that age: in the moment for which fallbacks are configured, when the provider is full,
#          streams fail and plain requests do not.
# Do:      upgrade to 1.82.6 or newer.
# Seen:    1.81.16: RateLimitError | 502: other stop | status 429: other stop || 1.82.6: other stop, three times
. "$(dirname "$0")/lib.sh"
cat >"$WORK/ask.py" <<'PY'
import asyncio, logging, os
os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
import litellm
litellm.suppress_debug_info = True
logging.disable(logging.CRITICAL)
def deployment(name, model, answer):
    return {"model_name": name, "litellm_params": {"model": model, "api_key": "x", "api_base": f"{os.environ['PROVIDER']}/{answer}"}}
async def main():
    for answer in ("full", "down", "status"):
        models = [deployment("first", "openrouter/m", answer), deployment("second", "openai/m", "other")]
        router = litellm.Router(model_list=models, fallbacks=[{"first": ["second"]}], num_retries=0)
        parts = []
        try:
            async for chunk in await router.acompletion(model="first", messages=[{"role": "user", "content": "x"}], stream=True):
                choice = chunk.choices[0]
                parts += [part for part in (choice.delta.content, choice.finish_reason) if part]
        except Exception as error:
            parts.append(type(error).__name__)
        print(*parts)
asyncio.run(main())
PY
provider <<'PY'
from provider import *
ANSWERS = {
    "full": sse(event({"error": {"code": 429, "message": "Provider returned error"}})),
    "down": sse(event({"error": {"code": 502, "message": "Provider returned error"}})),
    "status": body({"error": {"code": 429, "message": "Provider returned error"}}, 429),
    "other": sse(chat("other"), chat(finish="stop"), DONE),
}
PY
for version in 1.81.16 1.82.6; do
  python_packages "litellm==$version"
  "$PY" "$WORK/ask.py" >>"$WORK/seen" 2>/dev/null
done
mapfile -t seen <"$WORK/seen"
measured "1.81.16, 429 as the stream's first event" "other stop" "RateLimitError" "${seen[0]:-}"
measured "1.81.16, 502 as the stream's first event" "other stop" "other stop" "${seen[1]:-}"
measured "1.81.16, 429 as the status" "other stop" "other stop" "${seen[2]:-}"
measured "1.82.6, 429 as the stream's first event" "other stop" "other stop" "${seen[3]:-}"
measured "1.82.6, 502 as the stream's first event" "other stop" "other stop" "${seen[4]:-}"
measured "1.82.6, 429 as the status" "other stop" "other stop" "${seen[5]:-}"
finish
