"""This worker as others see it, from its start on, whether it holds a slot or not: its record, and one metric."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from contextvars import Context
from typing import TYPE_CHECKING, Any

from litellm_cancel_guard.host import limiter as host
from litellm_cancel_guard.host.endless import ENDLESS
from litellm_cancel_guard.lease.records import Seen
from litellm_cancel_guard.ledger.holding import Holdings
from litellm_cancel_guard.ledger.identity import Identity, guard_version
from litellm_cancel_guard.operator.tally import Tally
from litellm_cancel_guard.redaction.records import log

if TYPE_CHECKING:
    from collections.abc import Callable

    from litellm_cancel_guard.gauge.notice import Notice
    from litellm_cancel_guard.host.grafting import Board
    from litellm_cancel_guard.lease.holders import Holding
    from litellm_cancel_guard.lease.records import Record
    from litellm_cancel_guard.ledger.observer import Observers
    from litellm_cancel_guard.ledger.registry import Registry


class Presence:
    """Written with each beat of its own, beside any request: a heartbeat beats only from the first slot on.

    Args:
        settings: returns those in force.
        obey: is told, with each beat, which slot's request an operator wants ended, and who that is.
    """

    def __init__(
        self, registry: Registry, board: Board, settings: Callable[[], Any], obey: Callable[[str, str], object]
    ) -> None:
        self._settings = settings
        self._obey = obey
        self._identity = Identity(registry, settings, board.missing, host.litellm_version(), ENDLESS.names)
        self._holdings, self._tally = Holdings(registry), Tally()
        self._counts = False
        self._notice: Notice | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._next: asyncio.TimerHandle | None = None
        self._writing: asyncio.Task[None] | None = None
        self._hurried = False

    @property
    def record(self) -> Callable[[], Record]:
        """What returns this worker's record, as of now."""
        return self._identity.record

    @property
    def holding(self) -> Callable[[], Holding | None]:
        """What returns who holds this worker's slots, as of now."""
        return self._holdings.now

    def begin(self, limiter: Any, observer: Observers) -> None:
        """Say from now on that this worker is there, in the Redis of *limiter*; *observer* is told what it runs."""
        with suppress(host.UnknownLimiterError):
            self._identity.limiter = host.kind_of(host.recognise(limiter))
        self._notice = host.notice_for(limiter, lambda: float(self._settings().redis_timeout))
        if not self._counts:
            self._counts = True
            observer.add(self._tally)
        self.stop()
        if self._notice is not None:
            self._loop = asyncio.get_running_loop()
            self._beat()
        redis = "no" if self._notice is None else "yes"
        about = {"version": guard_version(), "litellm": host.litellm_version(), "redis": redis}
        observer.introduced({**about, "limiter": self._identity.limiter})

    def hurry(self) -> None:
        """Say it anew: something of it has changed."""
        if self._loop is not None and not self._hurried and not self._loop.is_closed():
            self._hurried = True
            self._loop.call_soon_threadsafe(self._beat, context=Context())

    def stop(self) -> None:
        """Say it no more."""
        self._loop = None
        if self._next is not None:
            self._next.cancel()

    async def leave(self) -> None:
        """Say that this worker has ended."""
        self.stop()
        if self._writing is not None and not self._writing.done():
            # Written behind its removal, by a Redis that is slow, the record of an ended worker would be there again.
            await asyncio.wait({self._writing}, timeout=float(self._settings().redis_timeout))
        if self._notice is not None:
            # At once: of a Redis that is away the server's end waits for one timeout, and for what was being written.
            counting = self._notice.count(self._tally.taken())
            await asyncio.gather(counting, self._notice.remove(self.record().worker))

    async def workers(self) -> list[Seen]:
        """Return all workers in LiteLLM's Redis; this one alone where there is none.

        Raises:
            GaugeUnavailableError: it could not be asked.
        """
        mine = Seen(self.record(), 0.0)
        if self._notice is None:
            return [mine]
        others = [seen for seen in await self._notice.all() if seen.record.worker != mine.record.worker]
        return sorted([*others, mine], key=lambda seen: (str(seen.record.host), str(seen.record.pid)))

    def _beat(self) -> None:
        """Write it, and again a beat later.

        No task that goes on for ever: redis-py may lose its cancellation, and a loop that ends would wait for it.
        """
        self._hurried = False
        if self._loop is None:
            return
        if self._next is not None:
            self._next.cancel()
        # The one before waits for Redis: a change goes out with the next beat.
        if self._notice is not None and (self._writing is None or self._writing.done()):
            self._writing = Context().run(self._loop.create_task, self._write(self._notice))
        every = float(self._settings().heartbeat_seconds)
        self._next = self._loop.call_later(every, self._beat, context=Context())

    async def _write(self, notice: Notice) -> None:
        try:
            record, holding = self.record(), self._holdings.now()
            counted = self._tally.taken()
            read = await notice.write(record, holding, counted)
            if not read.counted:
                self._tally.put_back(counted)
            for slot, by in read.ordered.items():
                self._obey(slot, by)
        except Exception:
            log.exception("cancel_guard: this worker's record could not be made, or what was ordered of it not done")
