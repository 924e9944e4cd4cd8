"""What the provider counts, run by run, and how a test waits for it."""

from __future__ import annotations

import asyncio
import time
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass
class Counts:
    """Of one run. `open` and `stalled` are of this moment, the rest only grow."""

    open: int = 0
    stalled: int = 0
    peak: int = 0
    total: int = 0
    hung_up: int = 0
    """The proxy closed the connection before the answer was whole."""
    answered: int = 0
    """Played to the end of the script, whether that was a whole answer, an error or a break."""
    longest: dict[str, float] = field(default_factory=dict)
    """For each number of open requests, how long there were at least so many without a pause, in seconds."""

    def meet(self, wanted: Mapping[str, int]) -> bool:
        """Counts of the moment are met exactly, the growing ones at least."""
        have = asdict(self)
        return all(have[name] == n if name in ("open", "stalled") else have[name] >= n for name, n in wanted.items())


class Run:
    def __init__(self) -> None:
        self.counts = Counts()
        self._since: dict[int, float] = {}
        self._released = asyncio.Event()
        self._changed = asyncio.Event()

    def enter(self) -> int:
        """A request has come; returns which attempt of the run it is."""
        self.counts.open += 1
        self.counts.total += 1
        self.counts.peak = max(self.counts.peak, self.counts.open)
        self._since[self.counts.open] = time.monotonic()
        self._tell()
        return self.counts.total

    def leave(self, *, answered: bool) -> None:
        lasted = time.monotonic() - self._since.pop(self.counts.open)
        longest = self.counts.longest
        longest[str(self.counts.open)] = max(longest.get(str(self.counts.open), 0), lasted)
        self.counts.open -= 1
        self.counts.answered += answered
        self.counts.hung_up += not answered
        self._tell()

    async def stall(self) -> None:
        """Until released; a caller that hangs up meanwhile cancels this."""
        self.counts.stalled += 1
        self._tell()
        try:
            await self._released.wait()
        finally:
            self.counts.stalled -= 1

    def release(self) -> None:
        """Those that are stalled go on, and those to come don't stall."""
        self._released.set()

    async def wait(self, wanted: Mapping[str, int]) -> None:
        while not self.counts.meet(wanted):
            await self._changed.wait()

    def _tell(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()
