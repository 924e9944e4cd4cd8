#!/usr/bin/env bash
# `cache_params: {namespace: tenant}` no longer reaches the keys of LiteLLM's rate limiter: two proxies count together.
#
# Cache(type="redis", namespace=…), which is what cache_params become, sets the namespace on a RedisCache that is already
# made. Since 1.110 the limiter takes it from settings that were copied before, so its keys stay bare, while a
# RedisCache(namespace=…) still puts them below the namespace.
#
# Version: litellm 1.109.3 (as one would expect) and 1.110.2 (PyPI), redis-server 7.0.
# Source:  litellm/caching/caching.py, Cache (`self.cache.namespace = self.namespace`, line 370); litellm/caching/redis_cache.py,
#          RedisCache (`self.store_settings`, lines 631 to 636).
# Hurts:   operators with several proxies on one Redis, each with its namespace: after the upgrade a key's requests, tokens
#          and slots of all of them are one count, and an access rule (`~tenant:*`) refuses the limiter's keys.
# Do:      give each such proxy a Redis of its own.
# Seen:    1.109.3: tenant:{api_key:…} both ways | 1.110.2: tenant:{api_key:…} from RedisCache, {api_key:…} from Cache
. "$(dirname "$0")/lib.sh"
needs redis-server
# What the limiter's module imports. The extra litellm[proxy] of these versions asks for releases that the index did not have.
BESIDE=(redis==8.1.0 fastapi==0.165.0 orjson==3.13.0 backoff==2.2.1 websockets==17.4 apscheduler==3.11.3 pyjwt==2.15.1
  cryptography==50.0.2 semver==3.1.2 python-multipart==0.0.34 expression==5.8.0)
redis-server --port 0 --unixsocket "$WORK/redis" --save "" --appendonly no >/dev/null &
STARTED+=("$!")
cat >"$WORK/limits.py" <<'PY'
import asyncio, logging, os, sys
os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
logging.disable(logging.CRITICAL)
import redis
from litellm.caching.caching import Cache, DualCache, RedisCache
from litellm.proxy.hooks.parallel_request_limiter_v3 import _PROXY_MaxParallelRequestsHandler_v3 as Limiter
from litellm.proxy.utils import InternalUsageCache
where = {"url": f"unix://{sys.argv[1]}"}
store = redis.Redis(unix_socket_path=sys.argv[1], decode_responses=True)
async def keys(cache):
    store.flushall()
    limiter = Limiter(InternalUsageCache(DualCache(redis_cache=cache)))
    limits = {"requests_per_unit": 9, "window_size": 60}
    await limiter.should_rate_limit(descriptors=[{"key": "api_key", "value": "KEY", "rate_limit": limits}])
    print(store.keys("*:requests")[0])
async def main():
    await keys(RedisCache(**where, namespace="tenant"))
    await keys(Cache(type="redis", **where, namespace="tenant").cache)
asyncio.run(main())
PY
for version in 1.109.3 1.110.2; do
  python_packages "litellm==$version" "${BESIDE[@]}"
  "$PY" "$WORK/limits.py" "$WORK/redis" >>"$WORK/seen" 2>"$WORK/errors" || tail -3 "$WORK/errors"
done
mapfile -t seen <"$WORK/seen"
measured "1.109.3, RedisCache(namespace=)" "tenant:{api_key:KEY}:requests" "tenant:{api_key:KEY}:requests" "${seen[0]:-}"
measured "1.109.3, Cache(namespace=)" "tenant:{api_key:KEY}:requests" "tenant:{api_key:KEY}:requests" "${seen[1]:-}"
measured "1.110.2, RedisCache(namespace=)" "tenant:{api_key:KEY}:requests" "tenant:{api_key:KEY}:requests" "${seen[2]:-}"
measured "1.110.2, Cache(namespace=)" "tenant:{api_key:KEY}:requests" "{api_key:KEY}:requests" "${seen[3]:-}"
finish
