"""The counting limiter (1.80 - 1.93): the guard takes its count over, so its own late decrements must not land (F6)."""

from __future__ import annotations

from contextvars import ContextVar
from datetime import datetime
from typing import TYPE_CHECKING, Any

from litellm_cancel_guard.host.limiter.increments import counts_slots, is_known

if TYPE_CHECKING:
    from collections.abc import Callable

    from litellm_cancel_guard.host.grafting import Touch

# Whether LiteLLM has counted the request that this code runs for; None where the guard has not seen it begin.
_older: ContextVar[bool | None] = ContextVar("litellm_cancel_guard_older", default=None)


def silence_decrements(limiter: Any, covers: Callable[[], bool], touch: Touch) -> None:
    """Keep LiteLLM from counting down what the guard counts: the number is the guard's mirror of its slots.

    *covers* tells whether the request that this code runs for is, or may be, one of the guard's.

    Raises:
        NotFoundError: LiteLLM counts down in another way.
    """
    _drop_from(limiter, "async_increment_tokens_with_ttl_preservation", "pipeline_operations", covers, touch)
    cache = limiter.internal_usage_cache.dual_cache
    _drop_from(cache, "async_increment_cache_pipeline", "increment_list", covers, touch)
    now = datetime.now()  # noqa: DTZ005 - LiteLLM's start_time has no time zone either
    for name in ("async_log_success_event", "async_log_failure_event"):
        _tell_older(limiter, name, now, touch)


def counted_by_litellm(*, counted: bool = True) -> None:
    """Say of the request that is served now that LiteLLM has counted it itself: its log events see this context."""
    _older.set(counted)


def _tell_older(limiter: Any, name: str, attached_at: datetime, touch: Touch) -> None:
    """Have LiteLLM uncount the requests that began before *attached_at*: it has counted those itself.

    Without this, a guard that comes while requests are in flight leaves each of them counted until its window ends.
    Not the one at which the guard was attached: it began before, too, and uncounted it would leave -1.
    """

    async def log_event(original: Any, kwargs: Any, response_obj: Any, start_time: Any, end_time: Any) -> Any:
        began_before = isinstance(start_time, datetime) and start_time.tzinfo is None and start_time < attached_at
        known = _older.get()
        token = _older.set(began_before if known is None else known)
        try:
            return await original(kwargs, response_obj, start_time, end_time)
        finally:
            _older.reset(token)

    touch.replace(limiter, name, log_event)


def _drop_from(owner: Any, name: str, parameter: str, covers: Callable[[], bool], touch: Touch) -> None:
    async def without_slots(original: Any, *args: Any, **kwargs: Any) -> Any:
        operations = kwargs.get(parameter, args[0] if args else None)
        if not isinstance(operations, list | tuple):
            return await original(*args, **kwargs)
        if not all(map(is_known, operations)):
            # Passed on, and told as a fault: what it counts down, the guard's mirror may be short of.
            raise TypeError(f"what LiteLLM adds to its counters is of an unknown shape: {type(operations[0]).__name__}")
        kept = [operation for operation in operations if _older.get() or not counts_slots(operation) or not covers()]
        if len(kept) == len(operations):
            return await original(*args, **kwargs)
        if not kept:
            return None
        if parameter in kwargs:
            return await original(*args, **{**kwargs, parameter: kept})
        return await original(kept, *args[1:], **kwargs)

    touch.replace(owner, name, without_slots)
