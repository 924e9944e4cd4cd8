"""What a server's end would cut in silence is told of it a moment before, in its own protocol."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from litellm_cancel_guard.aio.inside import task_inside
from litellm_cancel_guard.host.closing import spare_for_the_bill
from litellm_cancel_guard.host.killing import RESTARTING
from litellm_cancel_guard.redaction.records import log

if TYPE_CHECKING:
    from collections.abc import Callable
    from weakref import ReferenceType

    from litellm_cancel_guard.host.closing import Closer

# An error has to be out when the server cuts.
_BEFORE_THE_CUT_SECONDS = 2.0
# A request that was under way to its slot may get it after the others have been ended.
_BETWEEN_LOOKS_SECONDS = 0.5


class Uncounted:
    """A guarded stream that holds no slot; called with what closes it, or None when it is over."""

    __slots__ = ("__weakref__", "closer", "stream")

    def __init__(self) -> None:
        self.closer: Closer | None = None
        self.stream: ReferenceType[Any] | None = None

    def __call__(self, closer: Closer | None) -> None:
        """Note what closes the stream."""
        self.closer = closer
        spare_for_the_bill(closer)

    def stop(self) -> bool:
        """Have the stream end in an error; return whether that is news."""
        if self.closer is None or self.closer.stopped is not None:
            return False
        self.closer.stop(RESTARTING, None if self.stream is None else task_inside(self.stream()))
        return True


class Draining:
    """One per worker.

    Args:
        drain: ends every request that holds a slot, and returns how many.
        seconds: what the operator has set; 0: as the server's own time tells.
    """

    def __init__(self, drain: Callable[[], int], seconds: Callable[[], float]) -> None:
        self._drain = drain
        self._seconds = seconds
        self._uncounted = WeakSet[Uncounted]()

    def follow(self) -> Uncounted:
        """Return what follows a stream that holds no slot."""
        uncounted = Uncounted()
        self._uncounted.add(uncounted)
        return uncounted

    async def before_the_cut(self, grace: float | None) -> None:
        """End what is still open just before the server does, until cancelled; it has been told to end now.

        Args:
            grace: the seconds that it gives its requests; None: all they need.
        """
        due = self._due(grace)
        if due is None:
            return
        await asyncio.sleep(due)
        while True:
            if ended := self._end():
                log.warning(
                    "cancel_guard: the server is ending; %d requests were answered 503, to be asked again", ended
                )
            await asyncio.sleep(_BETWEEN_LOOKS_SECONDS)

    def _due(self, grace: float | None) -> float | None:
        said = [seconds for seconds in (self._seconds(),) if seconds]
        if grace is not None:
            said.append(max(0.0, grace - min(_BEFORE_THE_CUT_SECONDS, grace / 2)))
        return min(said, default=None)

    def _end(self) -> int:
        return self._drain() + sum(uncounted.stop() for uncounted in list(self._uncounted))
