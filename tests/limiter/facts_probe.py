"""What the installed LiteLLM does, fact by fact: `python facts_probe.py REDIS_PORT`, by that version's own Python.

It stands alone, with nothing of the guard, and prints one JSON object: the fact's number, and what was seen.
"""

from __future__ import annotations

import asyncio
import hashlib
import inspect
import json
import sys
import time
import uuid
import warnings
from typing import Any

warnings.simplefilter("ignore")

import redis  # noqa: E402
from fastapi import HTTPException  # noqa: E402
from litellm.caching.caching import Cache, DualCache, RedisCache  # noqa: E402
from litellm.proxy import proxy_server  # noqa: E402
from litellm.proxy._types import UserAPIKeyAuth  # noqa: E402
from litellm.proxy.hooks import parallel_request_limiter_v3 as module  # noqa: E402
from litellm.proxy.utils import InternalUsageCache  # noqa: E402

PORT = int(sys.argv[1])
STORE: Any = redis.Redis(port=PORT, decode_responses=True)


def limiter(cache: Any = None) -> Any:
    cache = cache or RedisCache(host="127.0.0.1", port=PORT)
    return module._PROXY_MaxParallelRequestsHandler_v3(InternalUsageCache(DualCache(redis_cache=cache)))


def key(**limits: Any) -> Any:
    return UserAPIKeyAuth(api_key=uuid.uuid4().hex * 2, max_parallel_requests=4, **limits)


async def pre_call(of: Any, auth: Any, task: bool = True) -> Any:
    async def run() -> Any:
        data = {"model": "gpt", "messages": [], "metadata": {}}
        await of.async_pre_call_hook(user_api_key_dict=auth, cache=None, data=data, call_type="acompletion")

    # A task of its own, as each request of the proxy has: a slot is noted in its context.
    return await asyncio.create_task(run())


async def f1() -> Any:
    logging_obj = proxy_server.proxy_logging_obj
    logging_obj._add_proxy_hooks(None)
    return type(logging_obj.get_proxy_hook("parallel_request_limiter")).__name__


async def f2() -> Any:
    """The instance's attribute is asked, with the descriptors first or by name."""
    of, seen = limiter(), []

    async def should_rate_limit(*args: Any, **kwargs: Any) -> Any:
        seen.append(kwargs.get("descriptors") or args[0])
        return {"overall_code": "OK", "statuses": []}

    of.should_rate_limit = should_rate_limit
    await pre_call(of, key(rpm_limit=9, tpm_limit=9, user_id="u", user_rpm_limit=9, team_id="t", team_rpm_limit=9))
    return [
        {"key": str(one["key"]), "cap": (one.get("rate_limit") or {}).get("max_parallel_requests")} for one in seen[0]
    ]


async def f3() -> Any:
    of, auth = limiter(), key()
    await pre_call(of, auth)
    name = f"{{api_key:{auth.api_key}}}:max_parallel_requests"
    has = "parallel_slot_id" in inspect.signature(of.should_rate_limit).parameters
    return {"parameter": has, "type": STORE.type(name)}


async def f5() -> Any:
    ttl = getattr(module, "PARALLEL_REQUEST_SLOT_TTL_SECONDS", None)
    if ttl is None:
        return None
    of, auth = limiter(), key()
    name, now = f"{{api_key:{auth.api_key}}}:max_parallel_requests", time.time()
    STORE.zadd(name, {"past": now - ttl - 2, "near": now - ttl + 60})
    await pre_call(of, auth)
    return {"ttl": ttl, "past": STORE.zscore(name, "past") is not None, "near": STORE.zscore(name, "near") is not None}


async def f6() -> Any:
    """Which of its two ways of incrementing each log event uses for a count that never went up."""
    of, auth = limiter(), key()
    seen: list[Any] = []

    def watch(owner: Any, name: str, parameter: str) -> None:
        async def increment(*args: Any, **kwargs: Any) -> Any:
            operations = args[0] if args else kwargs[parameter]
            counts = [one for one in operations if str(said(one, "key")).endswith(":max_parallel_requests")]
            seen.extend([name, one["increment_value"]] for one in counts)

        if hasattr(owner, name):
            setattr(owner, name, increment)

    watch(of, "async_increment_tokens_with_ttl_preservation", "pipeline_operations")
    watch(of.internal_usage_cache.dual_cache, "async_increment_cache_pipeline", "increment_list")
    metadata = {"user_api_key_hash": auth.api_key, "user_api_key": auth.api_key}
    event = {"standard_logging_object": {"metadata": metadata}, "litellm_params": {"metadata": metadata}}
    await of.async_log_success_event(event, None, None, None)
    await of.async_log_failure_event(event, None, None, None)
    return seen


def said(increment: Any, name: str) -> Any:
    return increment[name] if isinstance(increment, dict) else getattr(increment, name, None)


async def f7() -> Any:
    by_params = Cache(type="redis", host="127.0.0.1", port=PORT, namespace="tenant").cache
    made_with = RedisCache(host="127.0.0.1", port=PORT, namespace="tenant")
    return {"made_with": await prefixes(made_with), "by_params": await prefixes(by_params)}


async def prefixes(cache: Any) -> list[str]:
    of, auth = limiter(cache), key()
    await pre_call(of, auth)
    return sorted(name.split(auth.api_key)[0] for name in STORE.keys(f"*{auth.api_key}*max_parallel*"))


async def f8() -> Any:
    status = {"current_limit": 4, "limit_remaining": 0, "descriptor_key": "api_key"}
    statuses = [
        {**status, "code": "OK", "rate_limit_type": "requests"},
        {**status, "code": "OVER_LIMIT", "rate_limit_type": "max_parallel_requests"},
        {**status, "code": "OVER_LIMIT", "rate_limit_type": "tokens"},
    ]
    descriptors = [{"key": "api_key", "value": "k", "rate_limit": {"max_parallel_requests": 4}}]
    try:
        limiter()._handle_rate_limit_error(
            response={"overall_code": "OVER_LIMIT", "statuses": statuses}, descriptors=descriptors
        )
    except HTTPException as refused:
        cap, header = "max_parallel_requests" in str(refused.detail), "retry-after" in (refused.headers or {})
        return {"status": refused.status_code, "cap": cap, "header": header}
    return None


async def f10() -> Any:
    """How a slot is given back: what the release is called with, and what it does."""
    of, auth = limiter(), key()
    release = getattr(of, "_release_parallel_request_slots", None)
    if release is None:
        return None
    name = f"{{api_key:{auth.api_key}}}:max_parallel_requests"
    await pre_call(of, auth)
    slot = STORE.zrange(name, 0, -1)[0]
    scope = getattr(module, "RateLimitScope", None)
    gauges = (scope("api_key", auth.api_key),) if scope else ()
    await release({"slot_id": slot, "counter_keys": [name], "gauges": gauges})
    parameters = list(inspect.signature(release).parameters)
    deferred = getattr(of, "_defer_parallel_slot_release", None)
    also = list(inspect.signature(deferred).parameters) if deferred else None
    return {"first": parameters[0], "left": STORE.zcard(name), "deferred": also and also[0]}


async def f11() -> Any:
    of = limiter()

    async def should_rate_limit(*args: Any, **kwargs: Any) -> Any:
        raise HTTPException(503, "not now")

    of.should_rate_limit = should_rate_limit
    try:
        await pre_call(of, key())
    except HTTPException as unavailable:
        return unavailable.status_code
    return None


async def f12() -> Any:
    resolve = getattr(limiter(), "_fail_closed_resolver", None)
    if resolve is None:
        return None
    seen = []
    for told in ({}, *({"fail_closed_rate_limit_enforcement": value} for value in (True, "true", "perhaps"))):
        proxy_server.general_settings.clear()
        proxy_server.general_settings.update(told)
        seen.append(resolve())
    return seen


async def f13() -> Any:
    """Redis knows its script by the text, and what that raises passes through the hook only if it is no Exception."""
    if "parallel_slot_id" in inspect.signature(limiter().should_rate_limit).parameters:
        return None
    auth, ends = key(rpm_limit=9), []
    STORE.script_flush()
    await pre_call(limiter(), auth)
    known = STORE.script_exists(hashlib.sha1(module.BATCH_RATE_LIMITER_SCRIPT.encode()).hexdigest())
    for raised in (RuntimeError, Leaves):
        of = limiter()

        async def fails(*, keys: Any, args: Any, raised: type[BaseException] = raised) -> Any:
            raise raised

        of.batch_rate_limiter_script = fails
        try:
            await pre_call(of, auth)
        except Leaves:
            ends.append(raised.__name__)
    return {"text": known, "ends": ends}


async def f15() -> Any:
    """What a success adds to the tokens of its key: the shape, by the names of its fields."""
    of, auth, seen = limiter(), key(tpm_limit=1000), []

    async def increment(pipeline_operations: Any, *args: Any, **kwargs: Any) -> None:
        seen.extend(pipeline_operations)

    of.async_increment_tokens_with_ttl_preservation = increment
    of.tpm_reservation_enabled = False
    metadata = {"user_api_key_hash": auth.api_key, "user_api_key": auth.api_key, "user_api_key_auth": auth}
    event = {"standard_logging_object": {"metadata": metadata}, "litellm_params": {"metadata": metadata}}
    from litellm import ModelResponse, Usage

    answer = ModelResponse(usage=Usage(prompt_tokens=1, completion_tokens=2, total_tokens=3))
    await of.async_log_success_event(event, answer, None, None)
    tokens = [one for one in seen if not isinstance(one, dict) or one["key"].endswith(":tokens")]
    if not tokens:
        return None
    one = tokens[0]
    fields = one if isinstance(one, dict) else dict.fromkeys(type(one).__dataclass_fields__)
    suffix = one["key"].split(":")[-1] if isinstance(one, dict) else one.counter.suffix
    return {"fields": sorted(set(fields) & {"key", "increment_value", "ttl", "counter", "amount"}), "suffix": suffix}


async def f16() -> Any:
    """Whether the limiter says that it counts in Redis, with one and without."""
    without = module._PROXY_MaxParallelRequestsHandler_v3(InternalUsageCache(DualCache()))
    slots = "parallel_slot_id" in inspect.signature(without.should_rate_limit).parameters
    script = "parallel_acquire_script" if slots else "batch_rate_limiter_script"

    def says(of: Any) -> Any:
        if hasattr(of, "rate_limits"):
            return of.rate_limits.has_redis
        return getattr(of, script) is not None if hasattr(of, script) else "does not say"

    return [says(limiter()), says(without)]


async def f17() -> Any:
    """Whether there is an early look, and how it asks: by the instance's attribute, reading only."""
    of, seen = limiter(), []
    look = getattr(of, "raise_if_over_limit_before_body", None)
    if look is None:
        return None

    async def should_rate_limit(*args: Any, **kwargs: Any) -> Any:
        seen.append([kwargs.get("read_only"), len(kwargs.get("descriptors") or args[0])])
        return {"overall_code": "OK", "statuses": []}

    of.should_rate_limit = should_rate_limit
    await look(key())
    return seen


async def f18() -> Any:
    """What a client is that is made beside LiteLLM's own, for each way to name a Redis."""
    from litellm import _redis

    def made(**settings: Any) -> Any:
        pool = _redis.get_redis_connection_pool(**settings)
        return _redis.get_redis_async_client(connection_pool=pool, **settings)

    cache = limiter().internal_usage_cache.dual_cache.redis_cache
    own, node = made(**cache.redis_kwargs), {"host": "127.0.0.1", "port": PORT}
    secured = made(host="h", port=1, password="p", ssl=True).connection_pool
    watched = made(sentinel_nodes=[["127.0.0.1", PORT]], service_name="master", password="p")
    return {
        "answers": await own.ping(),
        "own": own is not cache.init_async_client() and own.connection_pool is not cache.async_redis_conn_pool,
        "cluster": hasattr(made(startup_nodes=[node]), "nodes_manager"),
        "url": made(url=f"rediss://u:p@127.0.0.1:{PORT}/2").connection_pool.connection_kwargs["password"],
        "tls": [secured.connection_class.__name__, secured.connection_kwargs["password"]],
        "sentinel": type(watched.connection_pool).__name__,
    }


class Leaves(BaseException):
    """What is no Exception."""


async def main() -> None:
    seen: dict[str, Any] = {}
    for fact in (f1, f2, f3, f5, f6, f7, f8, f10, f11, f12, f13, f15, f16, f17, f18):
        try:
            seen[fact.__name__.upper()] = await fact()
        except Exception as fault:
            seen[fact.__name__.upper()] = f"{type(fault).__name__}: {fault}"
    print("\n" + json.dumps(seen))


asyncio.run(main())
