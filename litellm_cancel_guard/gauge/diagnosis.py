"""What a failed call to Redis means, and which key is to blame for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from litellm_cancel_guard.aio.deadline import Deadline
from litellm_cancel_guard.gauge import GaugeCorruptError, GaugeUnavailableError
from litellm_cancel_guard.gauge.layout import NOT_OURS
from litellm_cancel_guard.gauge.sending import text_of, what_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from litellm_cancel_guard.gauge.layout import Call, KeyKind


async def fault_of(
    exc: Exception, call: Call, kinds: tuple[KeyKind, ...], client: Callable[[], Any], patience: float
) -> GaugeUnavailableError | GaugeCorruptError:
    """Return what to raise for *exc*, asking Redis, for *patience* seconds, which key is to blame for a wrong type."""
    if "WRONGTYPE" not in str(exc):
        return GaugeUnavailableError(what_of(exc))
    try:
        async with Deadline(patience):
            return GaugeCorruptError(await _diagnosis(exc, call, kinds, client()))
    except Exception as asking:
        return GaugeUnavailableError(f"{what_of(exc)}, and then {what_of(asking)}")


async def _diagnosis(exc: Exception, call: Call, kinds: tuple[KeyKind, ...], client: Any) -> str:
    for key, kind in zip(call.keys, kinds, strict=False):
        if kind.content and f"{key} holds no {kind.content}" in str(exc):
            return f"Redis key {key} holds no {kind.content}. {NOT_OURS}"
        found = text_of(await client.type(key))
        if found not in {kind.expected, "none"}:
            return f"Redis key {key} is of type {found}, not {kind.expected}. {kind.remedy(found)}"
    return f"One of the Redis keys {', '.join(call.keys)} held another type a moment ago, and no longer does."
