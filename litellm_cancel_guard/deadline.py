"""A time limit on what is awaited, which an event loop that stood still does not use up."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
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


class Deadline:
    """Ends the block that it guards after so many seconds and a last look.

    Raises:
        TimeoutError: the time was up.
    """

    __slots__ = ("_scope", "_seconds", "_timer")

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    async def __aenter__(self) -> None:
        self._scope = _timeout(None)
        await self._scope.__aenter__()
        self._timer = asyncio.get_running_loop().call_later(self._seconds, self._last_look)

    def _last_look(self) -> None:
        self._scope.reschedule(asyncio.get_running_loop().time() + LAST_LOOK_SECONDS)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        self._timer.cancel()
        return await self._scope.__aexit__(kind, error, traceback)
