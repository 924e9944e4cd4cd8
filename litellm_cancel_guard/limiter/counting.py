"""The counting limiter (1.80 - 1.93): the guard takes its count over, so its own late decrements must not land (F6)."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from litellm_cancel_guard.limiter import facts

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

_MARK = "_cancel_guard_silenced"


def silence_decrements(limiter: Any, covers: Callable[[], bool]) -> None:
    """Keep LiteLLM from counting down what the guard counts: the number is the guard's mirror of its slots.

    *covers* tells whether the request that this code runs for is, or may be, one of the guard's.
    """
    _drop_from(limiter, "async_increment_tokens_with_ttl_preservation", "pipeline_operations", covers)
    cache = limiter.internal_usage_cache.dual_cache
    _drop_from(cache, "async_increment_cache_pipeline", "increment_list", covers)


def _drop_from(owner: Any, name: str, parameter: str, covers: Callable[[], bool]) -> None:
    original: Callable[..., Awaitable[Any]] = getattr(owner, name)
    if getattr(original, _MARK, False):
        return

    @functools.wraps(original)
    async def without_slots(*args: Any, **kwargs: Any) -> Any:
        operations = args[0] if args else kwargs.pop(parameter)
        kept = [operation for operation in operations if not (_counts_slots(operation) and covers())]
        return await original(kept, *args[1:], **kwargs) if kept else None

    setattr(without_slots, _MARK, True)
    setattr(owner, name, without_slots)


def _counts_slots(operation: Any) -> bool:
    return str(operation["key"]).endswith(f":{facts.CAP}")
