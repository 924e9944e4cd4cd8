"""A time limit on what is awaited, which an event loop that stands still, or has much to do, does not use up."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

if sys.version_info >= (3, 11):
    from asyncio import timeout as _timeout
else:
    import anyio

    class _timeout:  # noqa: N801 - asyncio's name
        """What is used here of the class that asyncio has from 3.11 on."""

        def __init__(self, _: None) -> None:
            self._within = anyio.fail_after(None)

        def reschedule(self, when: float) -> None:
            self._scope.deadline = when

        async def __aenter__(self) -> None:
            self._scope = self._within.__enter__()

        async def __aexit__(
            self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
        ) -> bool | None:
            return self._within.__exit__(kind, error, traceback)


# When the time is up, the loop gets this long for what is there already. Timers that ran out while it stood still are
# served in the same turn as what the sockets have for it: an answer that came in time would be given up unread.
LAST_LOOK_SECONDS = 0.02

# On a saturated worker a turn lasts as long as what all its requests have to do. A call that opens a connection takes
# ten; given up by the clock it would open another, and Redis be taken for away for as long as the load goes on.
_TURNS = 20
_SHORTEST_SECONDS = 0.01


class Timer:
    """Calls *act* after so many seconds, and so many turns of the event loop; of 10 ms at least, where it is quick."""

    __slots__ = ("_act", "_each", "_handle", "_left")

    def __init__(self, seconds: float, act: Callable[[], None], turns: int = _TURNS) -> None:
        self._act = act
        self._left = max(1, min(turns, int(seconds / _SHORTEST_SECONDS)))
        self._each = seconds / self._left
        self._handle = asyncio.get_running_loop().call_later(self._each, self._turn)

    def _turn(self) -> None:
        self._left -= 1
        if self._left:
            self._handle = asyncio.get_running_loop().call_later(self._each, self._turn)
        else:
            self._act()

    def cancel(self) -> None:
        """Call nothing any more."""
        self._handle.cancel()
        # What it would call holds whoever holds this.
        self._act = _nothing


def _nothing() -> None:
    """Stand for what a timer is no longer to call."""


class Deadline:
    """Ends the block that it guards after so many seconds, and turns of the event loop, and a last look.

    *before* is called at that look, when what the block waits for is still whole.

    Raises:
        TimeoutError: the time was up.
    """

    __slots__ = ("_before", "_scope", "_seconds", "_timer", "_turns")

    def __init__(self, seconds: float, turns: int = _TURNS, before: Callable[[], None] | None = None) -> None:
        self._seconds = seconds
        self._turns = turns
        self._before = before

    async def __aenter__(self) -> None:
        self._scope = _timeout(None)
        await self._scope.__aenter__()
        self._timer = Timer(self._seconds, self._last_look, self._turns)

    def _last_look(self) -> None:
        if self._before is not None:
            self._before()
        self._scope.reschedule(asyncio.get_running_loop().time() + LAST_LOOK_SECONDS)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        self._timer.cancel()
        return await self._scope.__aexit__(kind, error, traceback)
