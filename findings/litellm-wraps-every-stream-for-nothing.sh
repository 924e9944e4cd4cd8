#!/usr/bin/env bash
# A LiteLLM proxy without any callback passes each chunk of each chat stream through three layers that leave it as it is.
#
# The hook around a stream is only laid for callbacks that override it, so that a bare proxy pays nothing. One that it brings along
# and always registers, ResponsesIDSecurity, overrides it for the ids of /v1/responses; a chat chunk it hands on untouched.
# Counted are the entries into Python functions for a stream of 50 chunks.
#
# Version: litellm 1.110.2 (PyPI).
# Source:  litellm/proxy/hooks/responses_id_security.py line 468; litellm/proxy/utils.py, _UpstreamStreamBoundary and
#          _wrap_streaming_iterator_with_enrichment.
# Hurts:   operators who size a proxy by its tokens per second, as each chunk pays for it; authors of callbacks who hold "no
#          callback, no wrapper" for a baseline.
# Do:      measure a baseline with the proxy's own callbacks in place.
# Seen:    entries for 50 chunks: wrapper 51, boundary 51, hook 51, chunks the same objects | without ResponsesIDSecurity 0, 0, 0
. "$(dirname "$0")/lib.sh"
proxy_packages
cat >"$WORK/layers.py" <<'PY'
import asyncio, collections, logging, os, sys
os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
logging.disable(logging.CRITICAL)
import litellm
from litellm.caching.caching import DualCache
from litellm.proxy._types import UserAPIKeyAuth
from litellm.proxy.utils import ProxyLogging
from litellm.types.utils import ModelResponseStream
LAYERS = ("ProxyLogging._wrap_streaming_iterator_with_enrichment", "_UpstreamStreamBoundary.__anext__",
          "ResponsesIDSecurity.async_post_call_streaming_iterator_hook")
MADE = [ModelResponseStream(id="c1", created=1, model="m", choices=[{"index": 0, "delta": {"content": "x"}}]) for _ in range(50)]
async def chunks():
    for chunk in MADE:
        yield chunk
async def stream(logging):
    entered = collections.Counter()
    def note(frame, what, _):
        if what == "call":
            names = (f"{type(frame.f_locals['self']).__name__}." if "self" in frame.f_locals else "ProxyLogging.") + frame.f_code.co_name
            entered[names] += 1
    key, body = UserAPIKeyAuth(api_key="x"), {"model": "m", "messages": []}
    sys.setprofile(note)
    seen = [chunk async for chunk in logging.async_post_call_streaming_iterator_hook(response=chunks(), user_api_key_dict=key, request_data=body)]
    sys.setprofile(None)
    same = len(seen) == len(MADE) and all(one is other for one, other in zip(seen, MADE))
    print(*(entered[layer] for layer in LAYERS), "same" if same else "changed")
async def main():
    own = ProxyLogging(user_api_key_cache=DualCache())
    own.startup_event(llm_router=None, redis_usage_cache=None)
    await stream(own)
    litellm.callbacks = [callback for callback in litellm.callbacks if type(callback).__name__ != "ResponsesIDSecurity"]
    await stream(own)
asyncio.run(main())
PY
mapfile -t seen < <("$PY" "$WORK/layers.py" 2>"$WORK/errors" || tail -2 "$WORK/errors" >&2)
echo "entries into wrapper, boundary and hook for 50 chunks, and the chunks themselves:"
measured "no callback configured" "0 0 0 same" "51 51 51 same" "${seen[0]:-}"
measured "ResponsesIDSecurity taken out" "0 0 0 same" "0 0 0 same" "${seen[1]:-}"
finish
