"""The slot limiter (1.94 and newer): the guard holds each slot under an id of its own.

LiteLLM's release of *its* id, at the first failed attempt while the retry still runs, therefore frees nothing. Here
that release is also saved its round trip to Redis.
"""

from __future__ import annotations

import inspect
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

from litellm_cancel_guard.host.grafting import NotFoundError

if TYPE_CHECKING:
    from litellm_cancel_guard.host.grafting import Touch

# LiteLLM forgets to release some of its ids: those leave at this end, and the worst is one release of nothing.
_MOST_IDS = 65_536


class Covered:
    """The slot ids that LiteLLM believes to hold, for which the guard holds a slot of its own."""

    def __init__(self) -> None:
        self._ids: OrderedDict[str, None] = OrderedDict()

    def add(self, slot_id: str) -> None:
        """Note that LiteLLM will release *slot_id*, which is in no gauge."""
        self._ids[slot_id] = None
        if len(self._ids) > _MOST_IDS:
            self._ids.popitem(last=False)

    def take(self, acquisition: Any) -> bool:
        """Tell, once, whether *acquisition* is one that the guard covers."""
        slot_id = str(acquisition.get("slot_id")) if isinstance(acquisition, dict) else ""
        return slot_id in self._ids and self._ids.pop(slot_id) is None


def save_releases(limiter: Any, covered: Covered, touch: Touch) -> None:
    """Answer LiteLLM's releases of covered ids without asking Redis (F10); a limiter without them is left alone.

    Raises:
        NotFoundError: one of them is of another shape.
    """
    _answer(limiter, "_release_parallel_request_slots", covered, None, touch)
    if hasattr(limiter, "_defer_parallel_slot_release"):
        _answer(limiter, "_defer_parallel_slot_release", covered, True, touch)


def _answer(limiter: Any, name: str, covered: Covered, answer: Any, touch: Touch) -> None:
    if not _gives(getattr(limiter, name, None), answer):
        # LiteLLM would look into an answer that it does not know, fail, and count no token of that request.
        raise NotFoundError(f"{type(limiter).__name__}.{name} does not say that it answers {answer}")

    async def release(original: Any, *args: Any, **kwargs: Any) -> Any:
        if covered.take(args[0] if args else kwargs.get("acquisition")):
            return answer
        return await original(*args, **kwargs)

    touch.replace(limiter, name, release)


def _gives(method: Any, answer: Any) -> bool:
    """Tell whether *method* says that what it gives is such an *answer*: ``bool`` or None."""
    try:
        says = inspect.signature(method).return_annotation
    except (TypeError, ValueError):
        return False
    return says in (("bool", bool) if isinstance(answer, bool) else ("None", None))
