"""Up to 1.93: the slot is acquired, and LiteLLM's requests and tokens counted, in one call to Redis (F13).

The guard's acquire waits until LiteLLM comes to its own script, and takes that along. Where LiteLLM does not come to
it, or asks it of other keys than those of the gauge, the acquire goes first and alone.
"""

from __future__ import annotations

import functools
import sys
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from litellm_cancel_guard.host import facts
from litellm_cancel_guard.host.grafting import NotFoundError
from litellm_cancel_guard.lease.lease import FollowUp

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from litellm_cancel_guard.host.grafting import Touch
    from litellm_cancel_guard.lease.lease import Admission

_waiting: ContextVar[Waiting | None] = ContextVar("litellm_cancel_guard_waiting", default=None)


class NotAdmittedError(BaseException):
    """Leaves LiteLLM's limiter, which takes each Exception from its script for an outage, and counts by itself then."""


class Waiting:
    """An acquire that waits for LiteLLM's script.

    Attributes:
        admit: acquires, with the script that it is given; returns None after a fault of the guard.
        asked: whether it waits no more.
        admission: what it was answered.
        failure: what it raised instead.
    """

    def __init__(self, gauge: str, admit: Callable[[FollowUp | None], Awaitable[Admission | None]]) -> None:
        self.admit = admit
        self._tag = f"{{{gauge}}}:"
        self.asked = False
        self.admission: Admission | None = None
        self.failure: Exception | None = None

    def covers(self, keys: Sequence[str]) -> bool:
        """Tell whether *keys* lie where the gauge does: Redis takes no script with keys of several nodes."""
        return all(key.startswith(self._tag) for key in keys)

    async def ask(self, follow_up: FollowUp | None) -> Any:
        """Acquire, with *follow_up*; return what that answered, or None if it was not run.

        Raises:
            NotAdmittedError: no slot was given; the attributes say why.
        """
        self.asked = True
        try:
            self.admission = await self.admit(follow_up)
        except Exception as failure:
            self.failure = failure
        if self.admission is None or not self.admission.admitted:
            raise NotAdmittedError
        return self.admission.followed


async def decide_with(waiting: Waiting, limiter: Callable[[], Awaitable[Any]]) -> Any:
    """Have *limiter* decide on requests and tokens, and *waiting* acquire with its script; return LiteLLM's response.

    None if no slot was given. Where LiteLLM refuses from memory, nothing was asked.

    Raises:
        Exception: as the acquire did.
    """
    token = _waiting.set(waiting)
    try:
        return await limiter()
    except NotAdmittedError:
        if waiting.failure is not None:
            raise waiting.failure from None
        return None
    finally:
        _waiting.reset(token)


def combine(limiter: Any, namespaced: Callable[[str], str], touch: Touch) -> None:
    """Have *limiter*'s script go along with an acquire that waits; *namespaced* is what it does to its keys.

    Raises:
        NotFoundError: it has no script that can.
    """
    script = getattr(limiter, facts.SCRIPT, None)
    text = getattr(sys.modules.get(type(limiter).__module__), facts.SCRIPT_TEXT, None)
    # redis-py's own script says what it runs; the module's text may be that of a release ago.
    text = getattr(script, "script", text)
    if script is None or not isinstance(text, str):
        raise NotFoundError(f"the limiter has no {facts.SCRIPT} whose text is known")
    touch.put(limiter, facts.SCRIPT, _together(script, text, namespaced, touch))


def _together(script: Any, text: str, namespaced: Callable[[str], str], touch: Touch) -> Callable[..., Awaitable[Any]]:
    lists = False

    async def alone(keys: Any, args: Any, others: dict[str, Any]) -> Any:
        nonlocal lists
        answer = await script(keys=keys, args=args, **others)
        # Only what Redis itself answers can be answered in its place; the canary has seen it before any request.
        lists = isinstance(answer, list)
        return answer

    @functools.wraps(script, assigned=(), updated=())
    async def together(keys: Any, args: Any, **others: Any) -> Any:
        waiting = _waiting.get()
        if waiting is None or waiting.asked or not touch.in_force:
            return await alone(keys, args, others)
        takes = lists and not others and waiting.covers(keys)
        followed = await waiting.ask(FollowUp(text, tuple(map(namespaced, keys)), tuple(args)) if takes else None)
        if followed is None:
            return await alone(keys, args, others)
        if isinstance(followed, Exception):
            raise followed
        return followed

    return together
