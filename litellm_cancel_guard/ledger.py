"""Admits requests and gives their slots back: what the registry decides, done in the gauge.

A slot is released at its request's ending; if that call is lost, it is tried again until Redis confirms it; if this
worker dies, the heartbeat stops and the lease lapses in Redis. Each of the three is the backstop of the one before it.

A lease that Redis no longer has at a beat was lost in one of three ways, and what follows differs:

- *Redis lost it* (restarted, flushed, failed over): it was renewed less than a lease ago, so it can't have lapsed. It
  is written again whatever the count, for its request does run: a count that is above the cap for a while admits
  nobody, one that is too low admits too many.
- *Redis could not be asked* for longer than a lease, by this worker or by any: the same. Each worker went on by
  itself, as `on_redis_error` says; afterwards the sum is what is in flight, and nobody is admitted until it is below
  the cap. That others took the slots of a worker that was cut off alone can't be told from that and is treated alike.
- *This worker did not ask* for longer than a lease: its event loop stood still. The others relied on Redis meanwhile
  and may have the slots by right. It takes back what is still free, and lets go of the rest: the cap holds.
"""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import anyio

from litellm_cancel_guard.completion import begin, finish
from litellm_cancel_guard.gauge import GaugeCorruptError, GaugeUnavailableError
from litellm_cancel_guard.lease import Admission, CountUnknownError, Ending, Lease
from litellm_cancel_guard.outage import Outage, asked_twice, stood_still
from litellm_cancel_guard.releases import Releases
from litellm_cancel_guard.routes import UNHOOKED_ROUTES

if TYPE_CHECKING:
    from litellm_cancel_guard.gauge import Gauge
    from litellm_cancel_guard.registry import Registry, Request
    from litellm_cancel_guard.settings import Settings

log = logging.getLogger("LiteLLM Proxy")

# A request task ends within this time of its last byte, on a busy worker too.
_ELSEWHERE_SECONDS = 0.05

# How often Redis is asked during an outage, at most.
_PROBE_SECONDS = 1.0
# Leases written again at once: each takes a connection of LiteLLM's pool, which requests wait for.
_WRITTEN_AT_ONCE = 16
# What a beat may take for each lease on top, which is this process's own work: no silence of Redis.
_SECONDS_PER_LEASE = 0.0005
# For a lease that is written again: it was admitted under the cap when its request came in.
_NO_LIMIT = 2**31 - 1


class Ledger:
    """One per worker and limiter: holds the registry and the gauge together.

    Attributes:
        outage: whether Redis is away, as far as this worker knows.
    """

    def __init__(self, registry: Registry, gauge: Gauge, settings: Settings) -> None:
        self.registry = registry
        self.gauge = gauge
        self.settings = settings
        self.outage = Outage(settings.on_redis_error)
        self._releases = Releases(registry, gauge, settings, self.outage)
        # Leases of requests that were admitted without Redis: nothing of them has to be released there.
        self._unwritten: set[Lease] = set()
        # Leases whose acquire is on its way: a renewal that overtakes it would take them for lost.
        self._asking: set[Lease] = set()
        # Leases that this worker failed to renew in time; see the module's third case.
        self._overdue: set[Lease] = set()
        self._corrupt: set[str] = set()
        self._asked_at = time.monotonic()

    async def admit(self, request: Request, gauge: str, limit: int) -> Admission:
        """Acquire a slot of *gauge* for *request*, or refuse, within ``redis_timeout`` seconds and a few milliseconds.

        A request that holds a slot already goes on with it.

        Raises:
            CountUnknownError: Redis could not be asked, and ``on_redis_error`` is ``closed``.
            asyncio.CancelledError: the caller was cancelled; the acquire was completed, and the request's ending
                gives the slot back.
        """
        if request.lease is not None:
            return Admission(admitted=True, in_flight=self.registry.held(gauge))
        try:
            return await self._admit(request, gauge, limit)
        finally:
            self._releases.tidy(gauge)

    async def _admit(self, request: Request, gauge: str, limit: int) -> Admission:
        deadline = time.monotonic() + self.settings.redis_timeout
        freed = self._releases.freed(gauge)
        under_way = self._releases.under_way(gauge)
        admission = await self._acquire(request, gauge, limit, deadline)
        if admission.admitted or deadline - time.monotonic() < self.settings.redis_timeout / 2:
            return admission
        if (
            self._releases.freed(gauge) != freed
            or await self._releases.came_free(gauge, under_way)
            or await self._may_be_free_elsewhere(request, gauge, admission)
        ):
            admission = await self._acquire(request, gauge, limit, deadline)
        return admission

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
            await finish(asked, within=self.settings.redis_timeout)

    def end_soon(self, request: Request, ending: Ending) -> asyncio.Future[None] | None:
        """End *request*; return what is done once Redis was asked to free its slot, or None if it holds none there."""
        lease = self.registry.end(request, ending)
        if lease is None:
            return None
        self._overdue.discard(lease)
        unwritten = lease in self._unwritten
        self._unwritten.discard(lease)
        if unwritten or self.outage.on:
            self._releases.locally_freed(lease.gauge)
        return None if unwritten else self._releases.begin(lease)

    async def give_back(self) -> None:
        """Release every slot held here, within ``redis_timeout`` seconds: the server or its event loop is to end."""
        for _, request in self.registry.leases():
            self.end_soon(request, Ending.TASK_ENDED)
        await self._releases.wait_for_all(within=self.settings.redis_timeout)

    def pace(self) -> float:
        """Return the seconds between two beats as things are."""
        beat = self.settings.heartbeat_seconds
        return min(beat, _PROBE_SECONDS) if self.outage.on else beat

    async def renew(self) -> None:
        """Renew every lease held here, and settle those that Redis no longer has.

        It asks for no longer than a beat, so that silence is not taken for an event loop that stood still. During an
        outage this is what asks Redis, also where nothing is held. Whether it answered shows in `outage`.
        """
        asked_before, self._asked_at = self._asked_at, time.monotonic()
        held = {lease: request for lease, request in self.registry.leases() if lease not in self._asking}
        try:
            patience = min(self.settings.redis_timeout, self.settings.heartbeat_seconds)
            with anyio.fail_after(patience + len(held) * _SECONDS_PER_LEASE):
                lost = await self._ask(held)
        except (GaugeUnavailableError, TimeoutError) as error:
            gauge = next(iter(held)).gauge if held else self.outage.gauge
            self.outage.begin(gauge, str(error) or "no answer in time")
            return
        finally:
            self._note_overdue(held, asked_before)
        try:
            await self._settle(lost)
        except GaugeUnavailableError as error:
            self.outage.begin(self.outage.gauge, error)
        else:
            self.outage.end()

    async def _ask(self, held: dict[Lease, Request]) -> dict[Lease, Request]:
        if held:
            lost = await asked_twice(lambda: self.gauge.renew(held.keys()), self.settings.redis_timeout)
            return {lease: held[lease] for lease in lost}
        if self.outage.on:
            with suppress(GaugeCorruptError):
                await self.gauge.count(self.outage.gauge)
        return {}

    def _note_overdue(self, held: dict[Lease, Request], asked_before: float) -> None:
        """Note what may have lapsed because nobody asked: known only after the answer, which may itself be late."""
        now = time.monotonic()
        self._overdue &= held.keys()
        self._overdue |= {
            lease
            for lease, request in held.items()
            if now - max(asked_before, request.opened_at) >= self.settings.lease_seconds
        }

    async def _settle(self, lost: dict[Lease, Request]) -> None:
        # The release may have overtaken the renewal: such a lease is not lost but given back.
        lost = {lease: request for lease, request in lost.items() if request.ending is None}
        late = [lease for lease in lost if lease in self._overdue]
        vanished = len(lost.keys() - self._overdue - self._unwritten)
        if vanished and not self.outage.on:
            log.warning("cancel_guard: Redis had lost %d slots that are held here; they are written again", vanished)
        taken = await self._write_again(lost)
        if late:
            log.warning(
                "cancel_guard: the event loop stood still for longer than a lease (%g s) and %d slots of running "
                "requests lapsed; %d were still free and are held again, the other requests go on without one",
                self.settings.lease_seconds,
                len(late),
                len(taken.intersection(late)),
            )
        # Requests that were admitted without Redis while the others were being written.
        missing = {lease: r for lease, r in self.registry.leases() if lease in self._unwritten}
        await self._write_again(missing)
        self._overdue.clear()

    async def _write_again(self, missing: dict[Lease, Request]) -> set[Lease]:
        """Write leases that Redis does not have, and return those it has now."""
        pairs, taken = list(missing.items()), set[Lease]()
        for start in range(0, len(pairs), _WRITTEN_AT_ONCE):
            some = pairs[start : start + _WRITTEN_AT_ONCE]
            answers = await asyncio.gather(*(self._write_one(*pair) for pair in some), return_exceptions=True)
            for (lease, _), answer in zip(some, answers, strict=True):
                if isinstance(answer, BaseException):
                    raise answer
                if answer:
                    taken.add(lease)
        return taken

    async def _write_one(self, lease: Lease, request: Request) -> bool:
        if request.ending is not None:
            return False
        self._unwritten.discard(lease)
        try:
            admission = await self.gauge.acquire(lease, request.limit if lease in self._overdue else _NO_LIMIT)
        except GaugeCorruptError:
            self._unwritten.add(lease)
            return False
        if request.ending is not None:
            # The request ended while its lease was being written: its release found nothing, and this would stay.
            self._releases.begin(lease)
        elif not admission.admitted:
            self.registry.end(request, Ending.LAPSED)
            self._releases.tidy(lease.gauge)
        return admission.admitted

    async def _acquire(self, request: Request, gauge: str, limit: int, deadline: float) -> Admission:
        lease = Lease.new(gauge, request.route)
        # A cancelled acquire may still reach Redis, and its release may overtake it on another connection: the id is
        # tied to the request first and the acquire finished, so that the release can only come after it.
        self.registry.hold(request, lease, limit)
        if self.outage.on:
            return self._without_redis(request, lease, asked=False)
        self._asking.add(lease)
        try:
            admission = await self._answer(lease, limit, deadline)
        except GaugeUnavailableError as error:
            self.outage.begin(gauge, error)
            return self._without_redis(request, lease, asked=True)
        except GaugeCorruptError as error:
            self._complain(gauge, error)
            return self._without_redis(request, lease, asked=False)
        finally:
            self._asking.discard(lease)
        self._corrupt.discard(gauge)
        if not admission.admitted:
            self.registry.drop(request)
        return admission

    async def _answer(self, lease: Lease, limit: int, deadline: float) -> Admission:
        patience = self.settings.redis_timeout
        acquire = begin(asked_twice(lambda: self.gauge.acquire(lease, limit), patience))
        done = await finish(acquire, within=deadline - time.monotonic())
        if not done and stood_still(deadline, patience):
            done = await finish(acquire, within=patience)
        if not done:
            raise GaugeUnavailableError("no answer in time")
        admission: Admission = acquire.result()
        return admission

    def _without_redis(self, request: Request, lease: Lease, *, asked: bool) -> Admission:
        """Decide as the operator chose; *asked* in vain, Redis may have carried it out and must be told in any case."""
        held, choice = self.registry.held(lease.gauge), self.settings.on_redis_error
        admitted = choice == "open" or (choice == "local" and held <= request.limit)
        if not admitted:
            self.registry.drop(request)
            if asked:
                self._releases.begin(lease)
        elif not asked:
            self._unwritten.add(lease)
        if choice == "closed":
            raise CountUnknownError(lease.gauge)
        return Admission(admitted=admitted, in_flight=held if admitted else held - 1)

    def _complain(self, gauge: str, error: Any) -> None:
        if gauge not in self._corrupt:
            self._corrupt.add(gauge)
            log.warning("cancel_guard: cannot count slots (%s)", error)
