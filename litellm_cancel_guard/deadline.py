"""A time limit on what is awaited, which an event loop that stood still does not use up."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Any

import anyio

if TYPE_CHECKING:
    from types import TracebackType

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

    if sys.version_info >= (3, 11):

        async def __aenter__(self) -> None:
            self._scope = asyncio.timeout(None)
            await self._scope.__aenter__()
            self._timer = asyncio.get_running_loop().call_later(self._seconds, self._last_look)

        def _last_look(self) -> None:
            self._scope.reschedule(asyncio.get_running_loop().time() + LAST_LOOK_SECONDS)

        async def __aexit__(self, *raised: Any) -> bool | None:
            self._timer.cancel()
            return await self._scope.__aexit__(*raised)

    else:

        async def __aenter__(self) -> None:
            self._scope = anyio.fail_after(None)
            scope = self._scope.__enter__()
            self._timer = asyncio.get_running_loop().call_later(self._seconds, _last_look_at, scope)

        async def __aexit__(
            self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
        ) -> bool | None:
            self._timer.cancel()
            return self._scope.__exit__(kind, error, traceback)


def _last_look_at(scope: anyio.CancelScope) -> None:
    scope.deadline = asyncio.get_running_loop().time() + LAST_LOOK_SECONDS
