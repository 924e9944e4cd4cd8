"""Admits requests and gives their slots back: what the registry decides, done in the gauge.

A slot is released at its request's ending; if that call is lost, it is tried again until Redis confirms it; if this
worker dies, the heartbeat stops and the lease lapses in Redis. Each of the three is the backstop of the one before it.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from litellm_cancel_guard.aio.completion import Mark, begin, begin_now, reached
from litellm_cancel_guard.aio.deadline import LAST_LOOK_SECONDS
from litellm_cancel_guard.gauge import GaugeCorruptError, GaugeUnavailableError
from litellm_cancel_guard.lease.keyname import without_key
from litellm_cancel_guard.lease.lease import Admission, CountUnknownError, Ending, Lease, Parting
from litellm_cancel_guard.lease.routes import UNHOOKED_ROUTES
from litellm_cancel_guard.ledger.line import Line
from litellm_cancel_guard.ledger.outage import Outage, insisted, stood_still
from litellm_cancel_guard.ledger.releases import AT_ONCE, Releases
from litellm_cancel_guard.ledger.renewals import Renewals
from litellm_cancel_guard.ledger.stand_in import StandIn
from litellm_cancel_guard.ledger.turnover import Turnover
from litellm_cancel_guard.ledger.unending import let_lapse
from litellm_cancel_guard.redaction.records import log

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from litellm_cancel_guard.aio.completion import Work
    from litellm_cancel_guard.gauge import Gauge
    from litellm_cancel_guard.lease.lease import FollowUp
    from litellm_cancel_guard.ledger.registry import Registry, Request
    from litellm_cancel_guard.ledger.stand_in import Apart
    from litellm_cancel_guard.settings import Settings

    Ask = Callable[[Lease], Awaitable[Admission]]


# A request task ends within this time of its last byte, on a busy worker too.
_ELSEWHERE_SECONDS = 0.05

# How often Redis is asked during an outage, at most.
_PROBE_SECONDS = 1.0


class Ledger:
    """One per worker and limiter: holds the registry and the gauge together.

    Attributes:
        outage: whether Redis is away, as far as this worker knows.
        line: those who wait for a slot.
        stand_in: renews while the event loop stands still.
    """

    def __init__(self, registry: Registry, gauge: Gauge, settings: Settings, apart: Apart | None = None) -> None:
        self.registry = registry
        self.gauge = gauge
        self.settings = settings
        self.outage = Outage(settings.on_redis_error, gauge.node)
        self.line = Line(gauge, settings, self.outage)
        self._releases = Releases(registry, gauge, settings, self.outage)
        self._renewals = Renewals(registry, gauge, settings, self.outage, self._releases)
        self.stand_in = StandIn(registry, settings, self.outage, self._renewals, apart)
        self._turnover = Turnover()
        self._corrupt: set[str] = set()
        self._turns = asyncio.Semaphore(AT_ONCE)

    async def admit(self, request: Request, gauge: str, limit: int, follow_up: FollowUp | None = None) -> Admission:
        """Acquire a slot of *gauge* for *request*, or refuse; Redis is asked twice where a slot is about to come free.

        Each time has ``redis_timeout`` seconds from its turn on: of many at once, a few ask. A request that holds a
        slot already goes on with it. *follow_up* runs in the same call as the acquire, unless the admission says that
        it did not.

        Raises:
            CountUnknownError: Redis could not be asked, and ``on_redis_error`` is ``closed``.
            asyncio.CancelledError: the caller was cancelled; the acquire was completed, and the request's ending
                gives the slot back.
        """
        if request.lease is not None:
            return Admission(admitted=True, in_flight=self.registry.held(gauge))
        try:
            ask = partial(self._acquire, request, limit=limit, follow_up=follow_up)
            # Under a cap of 0 no turn ever comes; and one request, asked again for a fallback, waits no longer in all.
            if request.turn is None or limit < 1 or request.waited >= request.patience:
                admission = await self._soon(request, gauge, ask)
            else:
                admission = await self._in_turn(request, Lease.new(gauge, request.route, request.turn), ask)
            if not admission.admitted:
                return self._with_delay(request, gauge, admission)
            self.registry.observer.acquired(request)
            self._turnover.admitted(gauge, request.caller)
            return admission
        finally:
            self._releases.tidy(gauge)

    async def _soon(self, request: Request, gauge: str, ask: Ask) -> Admission:
        """Ask for a slot, and once more where one is about to come free."""
        freed = self._releases.freed(gauge)
        admission = await ask(Lease.new(gauge, request.route))
        if (
            not admission.admitted
            and (
                self._releases.freed(gauge) != freed
                or await self._releases.came_free(gauge)
                or await self._may_be_free_elsewhere(request, gauge, admission)
            )
            # Ended while it waited, it ends no more: its slot would be renewed for as long as this worker lives.
            and request.ending is None
        ):
            admission = await ask(Lease.new(gauge, request.route))
        return admission

    async def _in_turn(self, request: Request, lease: Lease, ask: Ask) -> Admission:
        """Ask for a slot, and wait in line until there is one, the time is up, or nobody waits for it any more."""
        waiter = self.line.join(lease)
        until = waiter.since + request.patience - request.waited
        watching: Work[None] | None = None
        # As of one that is cancelled, and of all that is not said below.
        parting = Parting.LEFT
        try:
            while (admission := await ask(waiter.lease)).place:
                if not waiter.place:
                    self.registry.observer.waits(request, admission.waiting)
                self.line.parked(waiter, admission.place)
                watching = watching or begin(waiter.watch, request)
                if not await waiter.awoken(until):
                    parting = Parting.TIMED_OUT
                    break
                if waiter.gone:
                    self.end_soon(request, Ending.CLIENT_LEFT)
                # Ended while it waited, it ends no more: its slot would be renewed for as long as this worker lives.
                if request.ending is not None:
                    break
            else:
                parting = waiter.parting_at(request, admission)
            return admission
        except CountUnknownError:
            parting = Parting.REDIS_AWAY
            raise
        finally:
            self.line.quit(waiter)
            if watching is not None:
                watching.cancel()
            # Of one that holds a slot, or is said to, its own ending gives it back.
            if waiter.place and request.lease is None:
                self._releases.begin(lease)
            waiter.part(request, parting, self.registry.observer)

    def _with_delay(self, request: Request, gauge: str, refused: Admission) -> Admission:
        # Who has left comes back no more: counted as one that is told to, he had others sent to the end of a queue.
        if request.ending is not None:
            return replace(refused, retry_after=1)
        self.registry.refusals.note(request.about, gauge, request.limit, refused)
        # Without a line, the ids say how old the slots are.
        own = None if request.turn is None else self.registry.ages(gauge)
        retry_after = self._turnover.refused(gauge, request.caller, refused.holders, refused.in_flight, own)
        return replace(refused, retry_after=retry_after)

    async def _may_be_free_elsewhere(self, request: Request, gauge: str, refused: Admission) -> bool:
        """Give another worker a moment to free the slot whose request this client has just seen end.

        Only on the routes where no release is awaited before the last byte: a client of theirs that goes on at once
        with another worker would otherwise be refused because of its own request.
        """
        if request.route not in UNHOOKED_ROUTES or refused.in_flight <= self.registry.held(gauge):
            return False
        await asyncio.sleep(_ELSEWHERE_SECONDS)
        return True

    async def end(self, request: Request, ending: Ending) -> None:
        """End *request* and wait, within ``redis_timeout`` seconds, until its slot is free.

        Raises:
            asyncio.CancelledError: the caller was cancelled meanwhile; the release goes on.
        """
        asked = self.end_soon(request, ending)
        if asked is not None:
            await reached(asked, within=self.settings.redis_timeout)

    def end_soon(self, request: Request, ending: Ending) -> Mark | None:
        """End *request*; return what is set once Redis was asked to free its slot, or None if it holds none there."""
        lease = self.registry.end(request, ending)
        if lease is None:
            return None
        if request.held_since is not None:
            self._turnover.came_back(lease.gauge, time.monotonic() - request.held_since)
        written = self._renewals.writing.get(lease)
        unwritten = self._renewals.forget(lease)
        if unwritten or self.outage.of(lease.gauge):
            self._releases.locally_freed(lease.gauge)
        return None if unwritten else self._releases.begin(lease, written)

    async def give_back(self) -> None:
        """Release every slot and place held here, within ``redis_timeout`` seconds: server or event loop is to end."""
        self.stand_in.end()
        # First those in line: a slot that comes free would be handed to one of them, who takes it and is gone.
        for waiter in self.line.waiting():
            self.line.quit(waiter)
            self._releases.begin(waiter.lease)
        for _, request in list(self.registry.leases()):
            self.end_soon(request, Ending.TASK_ENDED)
        await self._releases.wait_for_all(within=self.settings.redis_timeout)

    def pace(self) -> float:
        """Return the seconds between two beats as things are."""
        beat = self.settings.heartbeat_seconds
        return min(beat, _PROBE_SECONDS) if self.outage.on else beat

    async def renew(self) -> None:
        """Renew every lease held here, and settle those that Redis has lost; `outage` shows whether it answered.

        Those of requests that are over, but for a server that never says so, are given back instead.
        """
        self.stand_in.watch()
        await let_lapse(self.registry, self.end_soon, self.settings.lease_seconds)
        await self._renewals.renew()

    async def _acquire(self, request: Request, lease: Lease, limit: int, follow_up: FollowUp | None) -> Admission:
        gauge = lease.gauge
        # A cancelled acquire may still reach Redis, and its release may overtake it on another connection: the id is
        # tied to the request first and the acquire finished, so that the release can only come after it.
        self.registry.hold(request, lease, limit)
        # It is in line there, or may have been handed a slot meanwhile.
        before = lease.turn is not None and bool(lease.turn.place)
        if self.outage.of(gauge):
            return self._without_redis(request, lease, asked=before)
        self._renewals.asking.add(lease)
        try:
            async with self._turns:
                if self.outage.of(gauge):
                    return self._without_redis(request, lease, asked=before)
                if request.ending is not None:
                    # Its release has been asked for already: nobody would give back what it took now.
                    return Admission(admitted=False, in_flight=self.registry.held(gauge))
                admission = await self._answer(lease, limit, follow_up)
        except GaugeUnavailableError as error:
            self.outage.begin(gauge, error)
            return self._without_redis(request, lease, asked=True)
        except GaugeCorruptError as error:
            self._complain(gauge, error)
            return self._without_redis(request, lease, asked=before)
        finally:
            self._renewals.asking.discard(lease)
        self._corrupt.discard(gauge)
        if not admission.admitted:
            self.registry.drop(request)
        return admission

    async def _answer(self, lease: Lease, limit: int, follow_up: FollowUp | None) -> Admission:
        patience = self.settings.redis_timeout
        deadline = time.monotonic() + patience
        acquire = begin_now(insisted, patience, self.gauge.acquire, lease, limit, follow_up)
        done = await reached(acquire, within=patience)
        if not done:
            # Where the loop stood still, the acquire may be asking once more; else it is taking its last look, and what
            # it sees comes here some turns later.
            done = await reached(acquire, within=patience if stood_still(deadline, patience) else 5 * LAST_LOOK_SECONDS)
        if not done:
            raise GaugeUnavailableError("no answer in time")
        if acquire.cancelled:
            # By whom it asked, and not by this request's own cancellation, which is raised above.
            raise GaugeUnavailableError("CancelledError while Redis was asked")
        return acquire.result()

    def _without_redis(self, request: Request, lease: Lease, *, asked: bool) -> Admission:
        """Decide as the operator chose; *asked* in vain, Redis may have carried it out and must be told in any case."""
        held, choice = self.registry.held(lease.gauge), self.settings.on_redis_error
        admitted = choice == "open" or (choice == "local" and held <= request.limit)
        if not admitted:
            self.registry.drop(request)
            if asked:
                self._releases.begin(lease)
        else:
            (self._renewals.unsure if asked else self._renewals.unwritten).add(lease)
        if choice == "closed":
            raise CountUnknownError(lease.gauge, self._turnover.unknown(lease.gauge, request.caller))
        if not admitted:
            holders = self.registry.ids(lease.gauge)
            return Admission(admitted=False, in_flight=held - 1, holders=holders, counted=False)
        return Admission(admitted=True, in_flight=held, counted=False)

    def _complain(self, gauge: str, error: Any) -> None:
        if gauge not in self._corrupt:
            self._corrupt.add(gauge)
            log.warning("cancel_guard: cannot count slots (%s)", without_key(error, gauge))
