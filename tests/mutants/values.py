"""What the guard reads of LiteLLM's limiter, its cache and its lists, changed in each way that makes sense."""

from __future__ import annotations

import dataclasses
import functools
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from tests.mutants import sources
from tests.mutants.stage import Around, Mutant, Stage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_SEAM, _GATHER, _TOGETHER = "slots.seam", "tokens.gather", "slots.together"
_INCREMENT = "async_increment_tokens_with_ttl_preservation"


def mutants(module: Any) -> Iterator[Mutant]:
    yield from _of_the_limiter(module)
    yield from _constants(module)
    yield from _increments(module)


def _attribute(target: str, name: str, values: dict[str, Any], graft: str = _SEAM) -> Iterator[Mutant]:
    for operator, value in values.items():

        def after(stage: Stage, value: Any = value) -> None:
            setattr(stage.limiter, name, value)

        yield Mutant(target, operator, after=after, graft=graft)


def _renamed(target: str, name: str, graft: str = _SEAM) -> Mutant:
    def before(stage: Stage) -> None:
        stage.module = sources.copied(stage.module, text=sources.renamed(name, f"{name}_v4"))

    return Mutant(target, "renamed", before, graft=graft)


def _of_the_limiter(module: Any) -> Iterator[Mutant]:
    def frozen(stage: Stage) -> None:
        def refuse(self: Any, name: str, value: Any) -> None:
            if self.__dict__.get("frozen"):
                raise AttributeError(f"can't set {name}")
            self.__dict__[name] = value

        stage.override(__setattr__=refuse)

    def keeps_nothing(stage: Stage) -> None:
        """Takes an attribute, and goes by its class's all the same."""

        def forget(self: Any, name: str, value: Any) -> None:
            if not self.__dict__.get("frozen"):
                self.__dict__[name] = value

        stage.override(__setattr__=forget)

    def freeze(stage: Stage) -> None:
        stage.limiter.__dict__["frozen"] = True

    yield Mutant("the limiter", "takes no attributes", frozen, freeze, _SEAM)
    yield Mutant("the limiter", "forgets attributes", keeps_nothing, freeze, _SEAM)
    values = {"a text": "60", "a float": 60.0, "another number": 30, "a word": "1m", "None": None}
    for operator in ("a text", "a float", "another number"):
        yield from _attribute("window_size", "window_size", {operator: values[operator]})
    yield _renamed("window_size", "window_size")
    if "rate_limits" in module.__dict__.get("_PROXY_MaxParallelRequestsHandler_v3").__init__.__code__.co_names:
        yield from _stores()
    yield _renamed("internal_usage_cache", "internal_usage_cache")
    yield from _scripts(module)


class Elsewhere:
    """A store that counts the slots of another name."""

    def __init__(self, inner: Any, scope: Any) -> None:
        self._inner = inner
        self._scope = scope

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        if "parallel" not in name:
            return found
        return lambda *args, **kwargs: found(
            *map(self._moved, args), **{name: self._moved(value) for name, value in kwargs.items()}
        )

    def _moved(self, given: Any) -> Any:
        if isinstance(given, self._scope):
            return dataclasses.replace(given, descriptor_value=f"slots/{given.descriptor_value}")
        return type(given)(map(self._moved, given)) if isinstance(given, list | tuple) else given


def _stores() -> Iterator[Mutant]:
    def around(**said: Any) -> Callable[[Stage], None]:
        def after(stage: Stage) -> None:
            stage.limiter.rate_limits = Around(stage.limiter.rate_limits, **said)

        return after

    def method(stage: Stage) -> None:
        stage.module = sources.copied(
            stage.module, text=lambda text: text.replace("rate_limits.has_redis", "rate_limits.has_redis()")
        )

    def callable_flag(stage: Stage) -> None:
        around(has_redis=lambda: True)(stage)

    def elsewhere(stage: Stage) -> None:
        stage.limiter.rate_limits = Elsewhere(stage.limiter.rate_limits, stage.module.RateLimitScope)

    yield _renamed("rate_limits", "rate_limits")
    yield Mutant("rate_limits", "another key layout", after=elsewhere, graft=_SEAM)
    yield Mutant("rate_limits", "a wrapper", after=around(), graft=_SEAM)
    yield Mutant("rate_limits.has_redis", "a method", method, callable_flag, _SEAM)
    yield Mutant("rate_limits.has_redis", "another type", after=around(has_redis="redis"), graft=_SEAM)
    yield _renamed("RateLimitScope", "RateLimitScope")


def _scripts(module: Any) -> Iterator[Mutant]:
    slots = "parallel_slot_id" in module._PROXY_MaxParallelRequestsHandler_v3.should_rate_limit.__code__.co_varnames
    script = "parallel_acquire_script" if slots else "batch_rate_limiter_script"
    if script not in module._PROXY_MaxParallelRequestsHandler_v3.__init__.__code__.co_names:
        return
    graft = _SEAM if slots else _TOGETHER
    yield _renamed(script, script, graft)

    def other(change: Callable[[Any], Any]) -> Callable[[Stage], None]:
        return lambda stage: setattr(stage.limiter, script, change(getattr(stage.limiter, script)))

    def sync(call: Any) -> Any:
        return functools.partial(call)

    def tuples(call: Any) -> Any:
        async def called(**given: Any) -> Any:
            return tuple(await call(**given))

        return called

    yield Mutant(script, "sync for async", after=other(sync), graft=graft)
    yield Mutant(script, "a tuple", after=other(tuples), graft=graft)
    if slots:
        yield from _slot_texts()
        return

    def reads(stage: Stage) -> None:
        stage.module = sources.copied(
            stage.module, tree=sources.Answered(script, "_mutant_read"), text=lambda text: text
        )
        stage.module._mutant_read = lambda answer: answer["values"]

    def boxed(call: Any) -> Any:
        async def called(**given: Any) -> Any:
            return {"values": await call(**given)}

        return called

    yield Mutant(script, "another return type", reads, other(boxed), graft)


def _text(target: str, operator: str, change: Callable[[str], str], graft: str = _SEAM) -> Mutant:
    def before(stage: Stage) -> None:
        stage.module = sources.copied(stage.module, text=change)

    return Mutant(target, operator, before, graft=graft)


def _slot_texts() -> Iterator[Mutant]:
    target = "the slots in Redis"
    yield _text(
        target,
        "scores in milliseconds",
        lambda text: text.replace("'ZADD', KEYS[i], now,", "'ZADD', KEYS[i], now * 1000,").replace(
            "'-inf', now - slot_ttl", "'-inf', (now - slot_ttl) * 1000"
        ),
    )
    yield _text(
        target,
        "scores at their end",
        lambda text: text.replace("'ZADD', KEYS[i], now,", "'ZADD', KEYS[i], now + slot_ttl,").replace(
            "'-inf', now - slot_ttl", "'-inf', now"
        ),
    )
    yield _text(
        target,
        "a hash",
        lambda text: (
            text.replace("'ZADD', KEYS[i], now, slot_id", "'HSET', KEYS[i], slot_id, now")
            .replace("'ZCARD'", "'HLEN'")
            .replace("'ZREM'", "'HDEL'")
            .replace("redis.call('ZREMRANGEBYSCORE', KEYS[i], '-inf', now - slot_ttl)", "")
        ),
    )


def _constants(module: Any) -> Iterator[Mutant]:
    ttl, text = "PARALLEL_REQUEST_SLOT_TTL_SECONDS", "BATCH_RATE_LIMITER_SCRIPT"
    if hasattr(module, ttl):
        yield _renamed(ttl, ttl)
        for operator, value in {"a float": 3600.0, "another number": 600}.items():
            yield Mutant(ttl, operator, _constant(ttl, value), graft=_SEAM)
    elif hasattr(module, text):
        yield _renamed(text, text, _TOGETHER)
        yield Mutant(text, "another type", after=_constant(text, getattr(module, text).encode()), graft=_TOGETHER)
        stale = getattr(module, text).replace("'INCR', counter_key", "'INCRBY', counter_key, 7")
        yield Mutant(text, "not what runs", after=_constant(text, stale + "\n-- of a release ago"), graft=_TOGETHER)
        yield Mutant(text, "an older answer", after=_constant(text, "return {}"), graft=_TOGETHER)


def _constant(name: str, value: Any) -> Callable[[Stage], None]:
    return lambda stage: stage.put(stage.module, name, value)


def _increments(module: Any) -> Iterator[Mutant]:
    shapes: dict[str, tuple[Callable[[Any], Any], Callable[[Any], Any]]] = {
        "objects for dicts": (lambda one: SimpleNamespace(told=one, key=_key(one)), lambda one: one.told),
        "dicts for objects": (lambda one: {"counter": _key(one), "amount": 1, "told": one}, lambda one: one["told"]),
        "pairs": (lambda one: (_key(one), one), lambda one: one[1]),
    }
    for operator, (write, read) in shapes.items():
        each = _given(_each(write), _each(read))
        yield Mutant("the increments", operator, each, graft=_GATHER)
    yield Mutant("the increments", "an iterator", _given(iter, list), graft=_GATHER)
    yield Mutant("the increments", "a tuple", _given(tuple, list), graft=_GATHER)
    by_key = _given(lambda all_: dict(enumerate(all_)), _values)
    yield Mutant("the increments", "a mapping", by_key, graft=_GATHER)


def _each(change: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda all_: [change(one) for one in all_]


def _values(all_: Any) -> list[Any]:
    return list(all_.values())


def _key(one: Any) -> str:
    return str(one["key"] if isinstance(one, dict) else one.counter)


def _given(write: Callable[[Any], Any], read: Callable[[Any], Any]) -> Callable[[Stage], None]:
    def before(stage: Stage) -> None:
        given = sources.Given(_INCREMENT, "pipeline_operations", "_mutant_write")
        stage.module = sources.copied(stage.module, tree=given)
        stage.module._mutant_write = write
        original = vars(stage.module._PROXY_MaxParallelRequestsHandler_v3)[_INCREMENT]

        async def counts(self: Any, pipeline_operations: Any, *args: Any, **kwargs: Any) -> Any:
            return await original(self, read(pipeline_operations), *args, **kwargs)

        stage.override(**{_INCREMENT: counts})

    return before
