"""Those of this worker's requests that wait for a slot: who is told that his turn has come, and who looks after all."""

from __future__ import annotations

import asyncio
import time
from contextvars import Context
from typing import TYPE_CHECKING

from litellm_cancel_guard.aio.completion import Mark
from litellm_cancel_guard.gauge import GaugeCorruptError, GaugeUnavailableError
from litellm_cancel_guard.lease.lease import Parting
from litellm_cancel_guard.ledger.outage import insisted
from litellm_cancel_guard.redaction.records import log

if TYPE_CHECKING:
    from litellm_cancel_guard.gauge import Gauge
    from litellm_cancel_guard.lease.lease import Admission, Lease
    from litellm_cancel_guard.ledger.observer import Observer
    from litellm_cancel_guard.ledger.outage import Outage
    from litellm_cancel_guard.ledger.registry import Request
    from litellm_cancel_guard.settings import Settings

# How often those who wait are looked after, in seconds. A place in Redis outlives five such looks.
LOOK_SECONDS = 1.0


class Waiter:
    """One request that asks for a slot, and waits where there is none.

    Attributes:
        lease: what it is to hold.
        place: in line; empty until it has one.
        gone: whether its client has left.
        since: when it asked first, in seconds on the monotonic clock.
    """

    __slots__ = ("_awaited", "gone", "lease", "place", "since")

    def __init__(self, lease: Lease) -> None:
        self.lease = lease
        self.since = time.monotonic()
        self.place = ""
        self.gone = False
        self._awaited = Mark()

    def wake(self) -> None:
        """Have it ask again."""
        self._awaited.set()

    async def awoken(self, until: float) -> bool:
        """Wait until it was woken since the last time, at most until that time of the monotonic clock."""
        awoken = await self._awaited.wait(until - time.monotonic())
        self._awaited = Mark()
        return awoken

    async def watch(self, request: Request) -> None:
        """Wake it when the client of *request* leaves; on a WebSocket nothing tells."""
        if request.served is not None and await request.served.left():
            self.gone = True
            self.wake()

    def parting_at(self, request: Request, answer: Admission) -> Parting:
        """Return how the wait of *request* ended with this *answer*, which gives it no place."""
        if request.ending is not None:
            return Parting.LEFT
        # One that had a place and has none now is in a Redis that can keep no line any more.
        if not answer.counted or (self.place and not answer.admitted):
            return Parting.REDIS_AWAY
        return Parting.SERVED if answer.admitted else Parting.FULL

    def part(self, request: Request, parting: Parting, observer: Observer) -> None:
        """Note that *request* waits no more, if it ever did, or that it found the line full."""
        seconds = time.monotonic() - self.since
        if self.place:
            request.has_waited(seconds)
        if self.place or parting is Parting.FULL:
            observer.waits_no_more(request, parting, seconds)


class Line:
    """One per ledger. A waiter is known here before Redis is asked: he may be handed a slot before that is answered."""

    def __init__(self, gauge: Gauge, settings: Settings, outage: Outage) -> None:
        self._gauge = gauge
        self._settings = settings
        self._outage = outage
        self._waiters: dict[str, dict[str, Waiter]] = {}
        self._by_id: dict[str, Waiter] = {}
        self._looking: asyncio.Task[None] | None = None

    def join(self, lease: Lease) -> Waiter:
        """Return what is woken for *lease* from now on; it is to `quit`, whatever comes."""
        self._gauge.hear(self._told)
        waiter = Waiter(lease)
        self._waiters.setdefault(lease.gauge, {})[lease.id] = waiter
        self._by_id[lease.id] = waiter
        return waiter

    def parked(self, waiter: Waiter, place: str) -> None:
        """Look after *waiter*, who has this *place* in line."""
        waiter.place, waiter.lease = place, waiter.lease.at(place)
        loop = asyncio.get_running_loop()
        if self._looking is None or self._looking.done() or self._looking.get_loop() is not loop:
            self._looking = Context().run(loop.create_task, self._look_after_all())

    def quit(self, waiter: Waiter) -> None:
        """Forget about *waiter*."""
        lease = waiter.lease
        self._by_id.pop(lease.id, None)
        waiters = self._waiters.get(lease.gauge, {})
        waiters.pop(lease.id, None)
        if not waiters:
            self._waiters.pop(lease.gauge, None)

    def waiting(self, gauge: str | None = None) -> list[Waiter]:
        """Return those who have a place in line: before *gauge*, or in all."""
        found = self._by_id if gauge is None else self._waiters.get(gauge, {})
        return [waiter for waiter in found.values() if waiter.place]

    def _told(self, name: str) -> None:
        if (waiter := self._by_id.get(name)) is not None:
            waiter.wake()

    async def _look_after_all(self) -> None:
        while self._by_id:
            await asyncio.sleep(LOOK_SECONDS)
            for gauge in list(self._waiters):
                try:
                    await self._look_after(gauge)
                except Exception:
                    log.exception("cancel_guard: a look after those who wait failed; the next one follows")

    async def _look_after(self, gauge: str) -> None:
        waiting = {waiter.lease.id: waiter for waiter in self.waiting(gauge)}
        awoken = set(waiting)
        if waiting and not self._outage.of(gauge):
            try:
                # One connection that was closed must not end the wait of all: in an outage each is answered without a
                # count of the others' slots, and more would run than the cap allows.
                awoken = await insisted(self._settings.redis_timeout, self._gauge.look, gauge, list(waiting))
            except GaugeUnavailableError as error:
                self._outage.begin(gauge, error)
            except GaugeCorruptError:
                # Each is answered as one that comes anew, and the first of them says which key it is.
                pass
        for name, waiter in waiting.items():
            if name in awoken:
                waiter.wake()
