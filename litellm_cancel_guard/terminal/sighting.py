"""What is known of one client request, where LiteLLM has no place for it.

What a provider's stream has reported is not kept here: a request may have several streams, one in the place of the
other. It is noted on the stream itself and on what that one raises (mends/responses.py).
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING

from litellm_cancel_guard.terminal.failure import RATE_LIMITED
from litellm_cancel_guard.terminal.wording import BEYOND_WAITING

if TYPE_CHECKING:
    from litellm_cancel_guard.terminal.failure import Failure

_current: ContextVar[Sighting | None] = ContextVar("litellm_cancel_guard_sighting", default=None)


# What a client of the Responses API is told to wait where a provider is at its limit and did not say for how long.
# Codex ends a session at a 429 without whole seconds (0.171), where it asks again after the same event in a stream.
_A_WHILE = 6.0


class Sighting:
    """One per client request; shared by its tasks, which all run in copies of its context.

    Attributes:
        route: LiteLLM's call type, as the pre-call hook was told; or the one whose protocol its client reads.
        guarded: its stream has been taken over; a callback that is listed twice must not do it again.
        delay: seconds after which the provider said, in a header, to ask again; LiteLLM may hand on its words alone.
        retry_after: seconds, for the header of an answer that is an error before its stream has begun.
        answer: what such an answer says where LiteLLM had no stream yet; None where it is in LiteLLM's own words.
        told_as: the status with which LiteLLM itself would give that answer.
        final: whether such an answer asks the client not to try again.
        counted: how the stream of its deployment has ended was noted where it is read.
        final_said: an agent has said `final`, which LiteLLM does not hand on (mends/agents.py).
    """

    __slots__ = ("answer", "counted", "delay", "final", "final_said", "guarded", "retry_after", "route", "told_as")

    def __init__(self, route: str) -> None:
        self.route = route
        self.guarded = False
        self.delay: float | None = None
        self.retry_after: float | None = None
        self.answer: Failure | None = None
        self.told_as = 0
        self.final = self.counted = self.final_said = False


def begin(route: str) -> Sighting:
    """Begin the sighting of the request that is served now."""
    sighting = Sighting(route)
    _current.set(sighting)
    return sighting


def route_read(call_type: str, path: str | None) -> str:
    """Return the call type whose protocol the client of *path* reads, where LiteLLM serves it as *call_type*.

    ``/cursor/chat/completions`` is served as ``aresponses`` where its body has an ``input``, and answered in chat
    (1.80 - 1.109, proxy/response_api_endpoints/endpoints.py `cursor_chat_completions`).
    """
    if call_type == "aresponses" and path is not None and path.rstrip("/").endswith("/chat/completions"):
        return "acompletion"
    return call_type


def current() -> Sighting | None:
    """Return the sighting of the request that this code runs for."""
    return _current.get()


def delay_before(failure: Failure, *, responses: bool) -> float | None:
    """Return the seconds that the header of an answer should name, before the client asks again; None: no header.

    *responses* tells an answer of the Responses API.
    """
    if not responses or failure.status != RATE_LIMITED:
        return failure.retry_after
    if failure.code in BEYOND_WAITING:
        return None
    return _A_WHILE if failure.retry_after is None else failure.retry_after
