"""The only place that knows LiteLLM's own limiter: its detection, an adapter for each shape, the numbered facts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from litellm_cancel_guard.limiter import facts
from litellm_cancel_guard.limiter.closed import FAILS_CLOSED, fails_closed, would_fail_closed
from litellm_cancel_guard.limiter.counting import counted_by_litellm, silence_decrements
from litellm_cancel_guard.limiter.detection import (
    Recognised,
    UnknownLimiterError,
    find_limiter,
    litellm_version,
    recognise,
)
from litellm_cancel_guard.limiter.gauges import describe, gauge_for, namespacing, survey_of
from litellm_cancel_guard.limiter.refusal import tell_the_truth
from litellm_cancel_guard.limiter.reservations import settle_once
from litellm_cancel_guard.limiter.seam import install
from litellm_cancel_guard.limiter.slots import Covered, save_releases
from litellm_cancel_guard.limiter.together import combine
from litellm_cancel_guard.limiter.tokens import gather

if TYPE_CHECKING:
    from collections.abc import Callable

    from litellm_cancel_guard.limiter.seam import Admits

__all__ = [
    "FAILS_CLOSED",
    "Recognised",
    "UnknownLimiterError",
    "attach",
    "counted_by_litellm",
    "describe",
    "enclose",
    "fails_closed",
    "find_limiter",
    "gauge_for",
    "litellm_version",
    "precede",
    "recognise",
    "survey_of",
    "would_fail_closed",
]


def attach(recognised: Recognised, admits: Admits, covers: Callable[[], bool]) -> None:
    """Put the guard into the limiter, once however often it is called; *covers* is for `silence_decrements`."""
    gather(recognised.limiter)
    settle_once(recognised.limiter)
    if recognised.shape == "counting":
        silence_decrements(recognised.limiter, covers)
    covered = Covered()
    if recognised.shape == "slots":
        save_releases(recognised.limiter, covered)
    tell_the_truth(recognised.limiter)
    combined = recognised.shape == "counting" and recognised.redis_cache is not None
    combined = combined and combine(recognised.limiter, namespacing(recognised))
    install(recognised.limiter, admits, covered, combined=combined)


def precede(callbacks: list[Any], guard: Any, limiter: Any) -> list[Any] | None:
    """Return LiteLLM's callbacks with *guard* before *limiter* (F9), or None where they are in that order already.

    A new list: a request whose hooks are being run through the old one would come to the limiter twice.
    """
    try:
        here, there = callbacks.index(guard), callbacks.index(limiter)
    except ValueError:
        return None
    if here < there:
        return None
    counted_by_litellm()
    others = [*callbacks[:here], *callbacks[here + 1 :]]
    return [*others[:there], guard, *others[there:]]


def enclose(callbacks: list[Any], guard: Any, outer: Any, limiter: Any) -> list[Any] | None:
    """Return LiteLLM's callbacks with *outer* around those that read what *guard* hands on, or None if none does.

    Stream hooks nest in the order of the list, and guardrails come behind the other callbacks of the config (F14).
    """
    try:
        here, there = callbacks.index(guard), callbacks.index(limiter)
    except ValueError:
        return None
    if outer in callbacks or not any(map(_reads_streams, callbacks[here + 1 : there])):
        return None
    return [*callbacks[:there], outer, *callbacks[there:]]


def _reads_streams(callback: Any) -> bool:
    kinds = (kind for kind in type(callback).__mro__ if kind.__module__ not in facts.BASES)
    return any(name in vars(kind) for kind in kinds for name in facts.READING)
