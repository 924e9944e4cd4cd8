"""Virtual time: many event loops in one process, each a worker of its own, stepped in the order of one clock.

A worker can stand still, as if a callback blocked its loop, or be killed: its loop is not stepped any more.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
from asyncio import events
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


class _NoSelector:
    """There are no sockets: what arrives is put into the loop by the world."""

    def select(self, timeout: float | None) -> list[Any]:
        return []


class WorkerLoop(asyncio.BaseEventLoop):
    """Runs when the world says so, by the world's clock."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self._world = world
        self._selector = _NoSelector()
        self.still_until = 0.0
        self.killed = False

    def time(self) -> float:
        return self._world.now

    def _process_events(self, event_list: list[Any]) -> None: ...

    def _write_to_self(self) -> None: ...

    def next_at(self) -> float | None:
        """When there is something to do, or None."""
        if self.killed:
            return None
        ready: Any = self._ready  # type: ignore[attr-defined]
        timers: Any = self._scheduled  # type: ignore[attr-defined]
        if not ready and not timers:
            return None
        due = self._world.now if ready else float(timers[0].when())
        return max(due, self.still_until, self._world.now)

    def step(self) -> None:
        events._set_running_loop(self)
        try:
            self._run_once()  # type: ignore[attr-defined]
        finally:
            events._set_running_loop(None)


class World:
    """One clock, the loops, and what is on its way between them."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.loops: list[WorkerLoop] = []
        self._coming: list[tuple[float, int, Callable[[], object]]] = []
        self._numbers = itertools.count()

    def loop(self) -> WorkerLoop:
        self.loops.append(WorkerLoop(self))
        return self.loops[-1]

    def at(self, moment: float, act: Callable[[], object]) -> None:
        heapq.heappush(self._coming, (max(moment, self.now), next(self._numbers), act))

    def after(self, seconds: float, act: Callable[[], object]) -> None:
        self.at(self.now + seconds, act)

    def run_until(self, moment: float) -> None:
        while True:
            loop, due = self._earliest()
            coming = self._coming[0][0] if self._coming else None
            if coming is not None and coming <= moment and (due is None or coming <= due):
                self.now, _, act = heapq.heappop(self._coming)
                act()
            elif loop is not None and due is not None and due <= moment:
                # A timer is due within the loop's clock resolution, so that rounding does not make it spin.
                self.now = max(self.now, due)
                loop.step()
            else:
                self.now = moment
                return

    def _earliest(self) -> tuple[WorkerLoop | None, float | None]:
        pairs = [(due, number, loop) for number, loop in enumerate(self.loops) if (due := loop.next_at()) is not None]
        if not pairs:
            return None, None
        due, _, loop = min(pairs)
        return loop, due

    def close(self) -> None:
        """What still runs is dropped, as a killed process drops it."""
        for loop in self.loops:
            for task in asyncio.all_tasks(loop):
                task._log_destroy_pending = False  # type: ignore[attr-defined]
                coroutine: Any = task.get_coro()
                if coroutine is not None:
                    with_no_loop(coroutine.close)
            loop.close()


def with_no_loop(act: Callable[[], None]) -> None:
    """Close a coroutine whose ``finally`` may await: it is not awaited any more."""
    try:
        act()
    except RuntimeError:
        return
