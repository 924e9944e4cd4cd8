"""Where the guard finds the limiter and its Redis, changed in each way that makes sense."""

from __future__ import annotations

import functools
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from tests.mutants.stage import Around, Mutant, Stage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_SEAM, _DECREMENTS = "slots.seam", "slots.decrements"


def mutants(module: Any) -> Iterator[Mutant]:
    if "parallel_slot_id" not in module._PROXY_MaxParallelRequestsHandler_v3.should_rate_limit.__code__.co_varnames:
        yield from _of_the_pipeline()
    yield from _of_the_cache()
    yield from _of_the_proxy()


def _of_the_cache() -> Iterator[Mutant]:
    def second(stage: Stage) -> None:
        from litellm.caching.caching import RedisCache

        cache = stage.limiter.internal_usage_cache.dual_cache
        cache.redis_cache = RedisCache(host="127.0.0.1", port=stage.port, db=1)

    def client(change: Callable[[Stage, Any], Any]) -> Callable[[Stage], None]:
        def after(stage: Stage) -> None:
            cache = stage.limiter.internal_usage_cache.dual_cache.redis_cache
            cache.init_async_client = change(stage, cache.init_async_client)

        return after

    def other_db(stage: Stage, _: Any) -> Any:
        from redis.asyncio import Redis

        made = Redis(port=stage.port, db=1)
        return lambda: made

    def asynchronous(_: Stage, call: Any) -> Any:
        async def init_async_client() -> Any:
            return call()

        return init_async_client

    def broken() -> Any:
        raise RuntimeError("a mutant")

    target = "redis_cache.init_async_client"
    yield Mutant("dual_cache.redis_cache", "a second client", after=second, graft=_SEAM)
    yield Mutant(target, "a second client", after=client(other_db), graft=_SEAM)
    yield Mutant(target, "async for sync", after=client(asynchronous), graft=_SEAM)
    yield Mutant(target, "an exception at call", after=client(lambda *_: broken), graft=_SEAM)
    yield Mutant(target, "None", after=client(lambda *_: lambda: None), graft=_SEAM)
    yield Mutant(target, "an argument more", after=client(lambda _, call: lambda tenant: call()), graft=_SEAM)
    yield from _namespaces()


def _of_the_pipeline() -> Iterator[Mutant]:
    """What the counting limiter (up to 1.93) counts down by, where its script is away."""

    def pipeline(change: Callable[[Any], Any]) -> Callable[[Stage], None]:
        def after(stage: Stage) -> None:
            cache = stage.limiter.internal_usage_cache.dual_cache
            stage.limiter.token_increment_script = None
            cache.async_increment_cache_pipeline = change(cache.async_increment_cache_pipeline)

        return after

    async def broken(*_: Any, **__: Any) -> Any:
        raise RuntimeError("a mutant")

    def positional(call: Any) -> Any:
        return lambda increment_list, **given: call(increment_list=increment_list, **given)

    def boxed(call: Any) -> Any:
        async def called(*args: Any, **kwargs: Any) -> Any:
            return SimpleNamespace(values=await call(*args, **kwargs))

        return called

    target = "async_increment_cache_pipeline"
    yield Mutant(target, "any order", after=pipeline(lambda call: call), graft=_DECREMENTS)
    yield Mutant(target, "a partial", after=pipeline(functools.partial), graft=_DECREMENTS)
    yield Mutant(target, "sync for async", after=pipeline(positional), graft=_DECREMENTS)
    yield Mutant(target, "an exception at call", after=pipeline(lambda _: broken), graft=_DECREMENTS)
    yield Mutant(target, "another return type", after=pipeline(boxed), graft=_DECREMENTS)


def _namespaces() -> Iterator[Mutant]:
    def fix(value: Any) -> Callable[[Stage], None]:
        def after(stage: Stage) -> None:
            stage.limiter.internal_usage_cache.dual_cache.redis_cache.check_and_fix_namespace = value

        return after

    async def later(key: str) -> str:
        return key

    target = "check_and_fix_namespace"
    yield Mutant(target, "another key layout", after=fix(lambda key: f"elsewhere:{key}"), graft=_SEAM)
    yield Mutant(target, "async for sync", after=fix(later), graft=_SEAM)
    yield Mutant(target, "another return type", after=fix(lambda key: key.encode()), graft=_SEAM)
    yield Mutant(target, "an argument more", after=fix(lambda tenant, key: key), graft=_SEAM)
    yield Mutant(target, "no method", after=fix(""), graft=_SEAM)


def _of_the_proxy() -> Iterator[Mutant]:
    def hook(change: Callable[[Any], Any]) -> Callable[[Stage], None]:
        def after(stage: Stage) -> None:
            from litellm.proxy import proxy_server

            logging_obj = proxy_server.proxy_logging_obj
            stage.put(logging_obj, "get_proxy_hook", change(logging_obj.get_proxy_hook))

        return after

    def broken(_: Any) -> Any:
        raise RuntimeError("a mutant")

    def later(call: Any) -> Any:
        async def get_proxy_hook(name: str) -> Any:
            return call(name)

        return get_proxy_hook

    def more(call: Any) -> Any:
        return lambda name, tenant: call(name)

    def around(call: Any) -> Any:
        return lambda name: Around(call(name))

    target = "get_proxy_hook"
    yield Mutant(target, "gone", after=_hidden, graft=_SEAM)
    yield Mutant(target, "an exception at call", after=hook(lambda _: broken), graft=_SEAM)
    yield Mutant(target, "async for sync", after=hook(later), graft=_SEAM)
    yield Mutant(target, "an argument more", after=hook(more), graft=_SEAM)
    yield Mutant(target, "a wrapper", after=hook(around), graft=_SEAM)
    yield Mutant(target, "None", after=hook(lambda _: lambda _name: None), graft=_SEAM)
    yield Mutant(target, "a list", after=hook(lambda call: lambda name: [call(name)]), graft=_SEAM)


def _hidden(stage: Stage) -> None:
    from litellm.proxy import proxy_server

    stage.put(proxy_server, "proxy_logging_obj", SimpleNamespace())
