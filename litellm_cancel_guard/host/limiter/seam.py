"""The seam: the guard's own acquire in the place of LiteLLM's ``should_rate_limit`` (F2).

The guard acquires first and the limiter decides on requests and tokens afterwards, so that a refusal for concurrency
uses up no request of the minute (#39309), and a refusal for requests or tokens gives the slot back. Where both ask for
keys of one hash tag, they do it in one call (`together`).
"""

from __future__ import annotations

import asyncio
import functools
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Protocol

from litellm_cancel_guard.host import facts, serving
from litellm_cancel_guard.host.called import Meant
from litellm_cancel_guard.host.grafting import is_grafted
from litellm_cancel_guard.host.limiter.counting import counted_by_litellm
from litellm_cancel_guard.host.limiter.refusal import IN_FLIGHT, RETRY_AFTER
from litellm_cancel_guard.host.limiter.together import Waiting, decide_with
from litellm_cancel_guard.host.refused import Refused
from litellm_cancel_guard.lease.lease import CountUnknownError, Ending
from litellm_cancel_guard.redaction.records import log

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from litellm_cancel_guard.host.grafting import Touch
    from litellm_cancel_guard.host.limiter.slots import Covered
    from litellm_cancel_guard.lease.lease import Admission, FollowUp
    from litellm_cancel_guard.ledger.registry import Request

    Asked = Callable[..., Awaitable[Any]]


_SEAM = "should_rate_limit"
EARLY_LOOK = "raise_if_over_limit_before_body"

_looking_early: ContextVar[bool] = ContextVar("litellm_cancel_guard_looking_early", default=False)
_UNAVAILABLE = 503


class Admits(Protocol):
    """What the seam needs of the ledger."""

    def guarded_request(self) -> Request | None:
        """Return the request to admit, or None if the guard has nothing to do with this call."""

    def counts(self) -> bool:
        """Tell whether requests that begin now are counted by the guard."""

    def decides(self, *, guarded: bool) -> None:
        """Note that LiteLLM decides on a request, and whether that is the guard's to admit."""

    async def admit(self, request: Request, gauge: str, limit: int, follow_up: FollowUp | None = None) -> Admission:
        """Acquire a slot, or refuse; raise CountUnknownError where the operator chose that."""

    async def end(self, request: Request, ending: Ending) -> None:
        """End the request and give its slot back."""


def install(limiter: Any, admits: Admits, covered: Covered, touch: Touch, *, combined: bool) -> None:
    """Put the guard into *limiter*'s ``should_rate_limit``.

    *combined* says whether the limiter's script can go along with an acquire.

    Raises:
        NotFoundError: the limiter decides in another way.
    """
    touch.replace(limiter, _SEAM, _Seam(admits, covered, combined=combined).decide)


def is_installed(limiter: Any) -> bool:
    """Tell whether another copy of the guard stands in *limiter* already."""
    return is_grafted(limiter, _SEAM)


def note_early_looks(limiter: Any, touch: Touch) -> None:
    """Have the seam know which looks come before the body (F17): the request they let pass is asked again.

    With the cap in it, such a look refuses in LiteLLM's words, `retry-after: 60`, before the guard has been asked: a
    slot whose release is under way is not waited for, and no metric counts the refusal.

    Raises:
        NotFoundError: LiteLLM looks in another way.
    """

    async def look(original: Any, *args: Any, **kwargs: Any) -> Any:
        token = _looking_early.set(True)
        try:
            return await original(*args, **kwargs)
        finally:
            _looking_early.reset(token)

    touch.replace(limiter, EARLY_LOOK, look)


class _Seam:
    def __init__(self, admits: Admits, covered: Covered, *, combined: bool) -> None:
        self._admits = admits
        self._covered = covered
        self._combined = combined

    async def decide(self, original: Asked, descriptors: Any, *args: Any, **kwargs: Any) -> Any:
        capped = _capped(descriptors)
        if capped is not None and _looking_early.get() and self._admits.counts():
            return await _decide_the_rest(original, _without_cap(descriptors), args, kwargs)
        request = None if capped is None or _looks_only(args, kwargs) else self._decided_on()
        if request is None:
            return await original(descriptors, *args, **kwargs)
        limit, joined, refused = int(capped["rate_limit"][facts.CAP]), request.lease is not None, True
        admit = functools.partial(self._admit, request, _gauge(capped), limit)
        rest = functools.partial(_decide_the_rest, original, _without_cap(descriptors), args, kwargs)
        try:
            admission, response = await self._ask(Waiting(_gauge(capped), admit), rest)
            if admission is None:
                return response or await original(descriptors, *args, **kwargs)
            status = _status(capped["key"], limit, admission)
            if not admission.admitted:
                told = {IN_FLIGHT: admission.in_flight, RETRY_AFTER: admission.retry_after}
                return {"overall_code": facts.OVER_LIMIT, "statuses": [{**status, **told}]}
            serving.admitted()
            response = response or await rest()
            refused = _refuses(response)
        except asyncio.CancelledError:
            # This may be another task than the request's; where it is that one, its end gives the slot back.
            refused = False
            raise
        finally:
            # A tool call that joined the request of the answer it belongs to is refused alone; the request goes on.
            if refused and not joined:
                await self._admits.end(request, Ending.REFUSED)
        if refused:
            return response
        if slot_id := kwargs.get(facts.SLOT_PARAMETER):
            self._covered.add(slot_id)
        return {**response, "statuses": [*response["statuses"], status]}

    def _decided_on(self) -> Request | None:
        request = self._admits.guarded_request()
        if self._admits.counts():
            self._admits.decides(guarded=request is not None)
        return request

    async def _ask(self, waiting: Waiting, rest: Callable[[], Awaitable[Any]]) -> tuple[Admission | None, Any]:
        """Return the guard's answer, and LiteLLM's if it is known by then; neither after a fault of the guard."""
        response = None
        if self._combined:
            response = await decide_with(waiting, rest)
            if waiting.asked or _refuses(response):
                return waiting.admission, response
        admission = await waiting.admit(None)
        return admission, None if admission is None else response

    async def _admit(
        self, request: Request, gauge: str, limit: int, follow_up: FollowUp | None = None
    ) -> Admission | None:
        """Return the answer of the guard, or None after a fault of its own: LiteLLM then counts the request alone."""
        try:
            return await self._admits.admit(request, gauge, limit, follow_up)
        except CountUnknownError as unknown:
            await self._admits.end(request, Ending.REFUSED)
            raise Meant(_unavailable(unknown.retry_after)) from unknown
        except Exception:
            log.exception("cancel_guard: a request could not be admitted by the guard; LiteLLM counts it alone")
            await self._admits.end(request, Ending.REFUSED)
            # Up to 1.93 it counts it down again in its log events, and is let.
            counted_by_litellm()
            return None


async def _decide_the_rest(
    original: Asked, descriptors: list[Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    # Up to 1.93 the limiter runs its script on no keys at all: a round trip for nothing, in which redis-py 8.1 now
    # and then loses the cancellation of the request, and which waits 5 s where Redis is frozen.
    if not descriptors:
        return {"overall_code": "OK", "statuses": []}
    return await original(descriptors, *args, **kwargs)


def _unavailable(seconds: int) -> Exception:
    """Return what LiteLLM turns into a 503 in the shape of the route, as it does with its own (F11)."""
    from fastapi import HTTPException

    text = f"Rate limit could not be verified: the slots in flight can't be counted. Please try again in {seconds}s."
    error: Any = HTTPException(_UNAVAILABLE, detail=text, headers={"retry-after": str(seconds)})
    serving.refused(Refused(_UNAVAILABLE, seconds, "count_unknown"))
    # Routes with an error handler of their own (/v1/messages up to 1.83) look for these before they print the object.
    error.message, error.type = text, "service_unavailable_error"
    return error  # type: ignore[no-any-return]


def _refuses(response: Any) -> bool:
    return bool(response["overall_code"] == facts.OVER_LIMIT)


def _gauge(capped: Any) -> str:
    return f"{capped['key']}:{capped['value']}"


def _capped(descriptors: Any) -> Any:
    for descriptor in descriptors:
        if (
            descriptor["key"] == facts.CAPPED_DESCRIPTOR
            and (descriptor.get("rate_limit") or {}).get(facts.CAP) is not None
        ):
            return descriptor
    return None


def _without_cap(descriptors: Any) -> list[Any]:
    """Return *descriptors* without their caps, and without those that limited nothing else."""
    rest = []
    for descriptor in descriptors:
        limits = descriptor.get("rate_limit") or {}
        if limits.get(facts.CAP) is None:
            rest.append(descriptor)
        elif any(limit is not None for name, limit in limits.items() if name not in (facts.CAP, facts.WINDOW)):
            rest.append({**descriptor, "rate_limit": {**limits, facts.CAP: None}})
    return rest


def _looks_only(args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    # Behind the descriptors come the span and read_only, in every version; the rest LiteLLM gives by name.
    return bool(kwargs.get("read_only") or kwargs.get("skip_parallel_check") or (len(args) > 1 and args[1]))


def _status(descriptor_key: str, limit: int, admission: Admission) -> dict[str, Any]:
    return {
        "code": "OK" if admission.admitted else facts.OVER_LIMIT,
        "current_limit": limit,
        "limit_remaining": max(0, limit - admission.in_flight),
        "rate_limit_type": facts.CAP,
        "descriptor_key": descriptor_key,
    }
