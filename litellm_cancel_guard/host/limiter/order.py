"""The guard's place in LiteLLM's list of callbacks: before the limiter, and around what reads streams (F9, F14)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from litellm_cancel_guard.host import facts
from litellm_cancel_guard.host.callbacks import callbacks as listed
from litellm_cancel_guard.host.callbacks import put
from litellm_cancel_guard.host.limiter.counting import counted_by_litellm
from litellm_cancel_guard.lease.graft import State

if TYPE_CHECKING:
    from litellm_cancel_guard.host.grafting import Board, Touch


def put_in_order(guard: Any, outer: Any, limiter: Any, board: Board, touch: Touch) -> bool:
    """Put *guard* before *limiter*, and *outer* around the guardrails; return whether there were any.

    Taken out, *outer* leaves the list; the guard's own callback is the operator's and stays.
    """
    put(precede(listed(), guard, limiter))
    board.note("slots.order", State.IN_FORCE)
    put(enclose(listed(), guard, outer, limiter))
    touch.when_out(lambda: put([callback for callback in listed() if callback is not outer]))
    enclosed = outer in listed()
    none = "" if enclosed else "no guardrail looks at answers"
    board.note("stream.enclosing", State.IN_FORCE if enclosed else State.NOT_NEEDED, none)
    return enclosed


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
