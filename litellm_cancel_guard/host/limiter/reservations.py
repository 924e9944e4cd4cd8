"""What LiteLLM reserves of a key's tokens for a request is settled once, whichever of its callbacks come, and when.

A stream that fails comes to two of them: its log event, and the failure hook, which LiteLLM calls on some routes and
the guard on all. Each gives the reservation back: the failure event and the hook look whether the other has, wait for
Redis, and say so only then (1.85 - 1.110); the success event, which `/v1/messages` and Gemini's native route send for
a stream that failed in the middle, does not look at all (1.85 - 1.109). Given back twice, a key whose streams fail
could use more than its `tpm_limit` (measured on 1.109.1: 72 reserved, 8 used, -64 counted).
"""

from __future__ import annotations

import asyncio
import sys
from contextlib import asynccontextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

from litellm_cancel_guard.host.grafting import NotFoundError, has_methods

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from litellm_cancel_guard.host.grafting import Touch

_SUCCEEDED = "async_log_success_event"
_SETTLING = ("async_post_call_failure_hook", "async_log_failure_event", _SUCCEEDED)
_RESERVED = ("reserved_tokens", "itpm_reserved_tokens", "otpm_reserved_tokens")

_READ, _RELEASED = "_get_reserved_tokens_from_kwargs", "_is_reservation_released"
_MARK_RELEASED = "_mark_reservation_released"
_MARKS = (_READ, _RELEASED, _MARK_RELEASED)
_RESERVE = "_stash_reservation_in_data"


class _Turn:
    """Whose turn it is to settle a request, of so many callbacks that have come."""

    __slots__ = ("callbacks", "lock")

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.callbacks = 0


class _Reserved:
    """What one request has reserved, known to all that comes of it."""

    __slots__ = ("__weakref__", "settled")

    def __init__(self) -> None:
        self.settled = False


_reserved: ContextVar[_Reserved | None] = ContextVar("litellm_cancel_guard_reserved", default=None)
# By LiteLLM's id of the request, while its context lives: of /v1/responses it logs a failure in a thread without one
# (1.85 - 1.95, responses/streaming_iterator.py).
_reserved_by: WeakValueDictionary[str, _Reserved] = WeakValueDictionary()

# By the identity of a request's book while somebody settles it: up to 1.110 it takes no weak reference.
_turns: dict[int, _Turn] = {}


def keeps_reservations(limiter: Any) -> bool:
    """Tell whether *limiter* keeps a book of what a request reserved; up to 1.84 it reserves nothing."""
    return any(getattr(limiter, name, None) is not None for name in _MARKS) or _book_of(limiter) is not None


def settle_once(limiter: Any, touch: Touch) -> None:
    """Have *limiter*, which keeps reservations, settle one by one callback alone.

    Raises:
        NotFoundError: it settles in another way.
    """
    by_marks = has_methods(limiter, *_MARKS)
    if by_marks:
        _by_marks(limiter, touch)
    reserved_now = _book_of(limiter)
    if not (by_marks or callable(reserved_now)):
        raise NotFoundError("the limiter keeps what a request reserved in another way")
    if reserved_now is None:
        return
    for name in _SETTLING:
        if hasattr(limiter, name):
            touch.replace(limiter, name, _one_at_a_time(reserved_now, succeeds=name == _SUCCEEDED))


def _book_of(limiter: Any) -> Any:
    return getattr(sys.modules.get(type(limiter).__module__), "get_request_stash", None)


def _one_at_a_time(reserved_now: Callable[[], Any], *, succeeds: bool) -> Callable[..., Awaitable[Any]]:
    async def settle(original: Any, *args: Any, **kwargs: Any) -> Any:
        book = reserved_now()
        if not any(getattr(book, name, 0) for name in _RESERVED):
            return await original(*args, **kwargs)
        async with _turn_for(book):
            if succeeds and book.reservation_released:
                _forget(book)
            answer = await original(*args, **kwargs)
            if succeeds and _is_about(book, args, kwargs):
                _forget(book)
            return answer

    return settle


@asynccontextmanager
async def _turn_for(book: Any) -> AsyncIterator[None]:
    turn = _turns.setdefault(id(book), _Turn())
    turn.callbacks += 1
    try:
        async with turn.lock:
            yield
    finally:
        turn.callbacks -= 1
        if not turn.callbacks:
            del _turns[id(book)]


def _is_about(book: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    """Tell whether an event is the request's own: a call that a guardrail makes of a model has an id of its own."""
    call = _call_of(kwargs.get("kwargs") or (args[0] if args else None))
    return not call or book.owner_litellm_call_id in (None, call)


def _forget(book: Any) -> None:
    """What has been given back is no longer reserved: whoever counts next counts what was used."""
    book.reserved_tokens = 0
    if hasattr(book, "ptu_reserved_tokens"):
        book.ptu_reserved_tokens = 0


def _by_marks(limiter: Any, touch: Touch) -> None:
    """Where the book is kept in the request's metadata (1.85 - 1.95), have whoever reads it settle it, all in one step.

    LiteLLM marks it when Redis has answered, after a success not at all, and on `/v1/messages` and for answers with
    tools in a copy that the other callback does not see: they have the context in common, or the request's id.
    """
    released, mark = getattr(limiter, _RELEASED), getattr(limiter, _MARK_RELEASED)

    def taken(original: Any, *args: Any, **kwargs: Any) -> Any:
        told = kwargs.get("kwargs") or (args[0] if args else None)
        book = _reserved.get() or _reserved_by.get(_call_of(told))
        if released(*args, **kwargs) or (book is not None and book.settled):
            return 0
        tokens = original(*args, **kwargs)
        if tokens:
            mark(told)
        if tokens and book is not None:
            book.settled = True
        return tokens

    def reserve(original: Any, *args: Any, **kwargs: Any) -> Any:
        _note(_Reserved(), _call_of(kwargs.get("data") or (args[0] if args else None)))
        return original(*args, **kwargs)

    touch.replace(limiter, _READ, taken)
    if has_methods(limiter, _RESERVE):
        touch.replace(limiter, _RESERVE, reserve)


def _note(book: _Reserved, call: str) -> None:
    _reserved.set(book)
    # A client may choose the id: where two have the same, it tells neither.
    if _reserved_by.pop(call, None) is None and call:
        _reserved_by[call] = book


def _call_of(told: Any) -> str:
    call = told.get("litellm_call_id") if isinstance(told, dict) else None
    return call if isinstance(call, str) else ""
