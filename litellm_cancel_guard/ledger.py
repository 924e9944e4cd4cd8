"""Admits requests and gives their slots back: what the registry decides, done in the gauge.

A slot is released at its request's ending; if that call is lost, it is tried again until the lease has lapsed; if
this worker dies, the heartbeat stops and the lease lapses in Redis. Each of the three is the backstop of the one
before it.
"""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING, Any

from litellm_cancel_guard.completion import begin, finish, insist
from litellm_cancel_guard.gauge import GaugeCorruptError, GaugeUnavailableError
from litellm_cancel_guard.lease import Admission, Ending, Lease

if TYPE_CHECKING:
    from litellm_cancel_guard.gauge import Gauge
    from litellm_cancel_guard.registry import Registry, Request
    from litellm_cancel_guard.settings import Settings

log = logging.getLogger("LiteLLM Proxy")

# A release that Redis refused is tried again after this many seconds, doubled each time up to the heartbeat.
_FIRST_RETRY_SECONDS = 0.1
# How long a refusal waits for the releases that this worker has under way for the key, before it looks once more.
_SECOND_LOOK_SECONDS = 0.05
# For a lease that is written again: it was admitted under the cap when its request came in.
_NO_LIMIT = 2**31 - 1


class Ledger:
    """One per worker and limiter: holds the registry and the gauge together."""

    def __init__(self, registry: Registry, gauge: Gauge, settings: Settings) -> None:
        self.registry = registry
        self.gauge = gauge
        self.settings = settings
        self._releasing: dict[str, set[asyncio.Task[Any]]] = {}
        # How many slots of a gauge this worker has given back, kept while it holds any: a refusal compares.
        self._freed: dict[str, int] = {}
        self._waiting: dict[str, list[asyncio.Future[None]]] = {}
        self._degraded = False
        self._asked_at = time.monotonic()

    async def admit(self, request: Request, gauge: str, limit: int) -> Admission:
        """Acquire a slot of *gauge* for *request*, or refuse; a request that holds one already goes on with it.

        Raises:
            asyncio.CancelledError: the caller was cancelled; the acquire was completed, and the request's ending
                gives the slot back.
        """
        if request.lease is not None:
            return Admission(admitted=True, in_flight=self.registry.held(gauge))
        freed = self._freed.get(gauge)
        under_way = tuple(self._releasing.get(gauge, ()))
        admission = await self._acquire(request, gauge, limit)
        if not admission.admitted and (self._freed.get(gauge) != freed or await self._came_free(gauge, under_way)):
            admission = await self._acquire(request, gauge, limit)
        return admission

    async def end(self, request: Request, ending: Ending) -> None:
        """End *request* and wait, within ``redis_timeout`` seconds, until its slot is free.

        Raises:
            asyncio.CancelledError: the caller was cancelled meanwhile; the release goes on.
        """
        task = self.end_soon(request, ending)
        if task is not None and not await finish(task, within=self.settings.redis_timeout):
            log.warning("cancel_guard: Redis did not confirm a release in time; it goes on in the background")

    def end_soon(self, request: Request, ending: Ending) -> asyncio.Task[Any] | None:
        """End *request* without waiting: return the release that is under way, or None if there is nothing to give."""
        lease = self.registry.end(request, ending)
        if lease is None:
            return None
        task = begin(insist(lambda: self._release(lease)))
        under_way = self._releasing.setdefault(lease.gauge, set())
        under_way.add(task)
        task.add_done_callback(lambda done: self._released(lease.gauge, done))
        return task

    async def give_back(self) -> None:
        """Release every slot held here, within ``redis_timeout`` seconds: the event loop is about to end."""
        releases = [self.end_soon(request, Ending.TASK_ENDED) for _, request in self.registry.leases()]
        under_way = [task for task in releases if task is not None]
        if under_way:
            await asyncio.wait(under_way, timeout=self.settings.redis_timeout)

    async def renew(self) -> None:
        """Renew every lease held here, and settle those that Redis no longer has.

        Raises:
            GaugeUnavailableError: Redis could not be asked, so nothing is known to be lost.
            GaugeCorruptError: a key of the guard's holds another type.
        """
        now = time.monotonic()
        asked_at, self._asked_at = self._asked_at, now
        held = dict(self.registry.leases())
        if not held:
            return
        lost = await self.gauge.renew(held.keys())
        self._recovered()
        for lease in lost:
            request = held[lease]
            # The release may have overtaken the renewal: such a lease is not lost but given back.
            if request.ending is not None:
                continue
            if now - max(asked_at, request.opened_at) < self.settings.lease_seconds:
                await self._write_again(lease, request)
            else:
                self._lapse(lease, request)

    async def _write_again(self, lease: Lease, request: Request) -> None:
        """Write a lease that Redis lost (away, restarted, flushed) although this worker asked in time."""
        try:
            await self.gauge.acquire(lease, _NO_LIMIT)
        except GaugeCorruptError as error:
            log.warning("cancel_guard: %s", error)
            return
        if request.ending is not None:
            # The request ended while its lease was being written: its release found nothing, and this would stay.
            await self.gauge.release(lease)

    def _lapse(self, lease: Lease, request: Request) -> None:
        """Let a lease go that lapsed while the event loop stood still: its slot may be another request's by now."""
        self.registry.end(request, Ending.LAPSED)
        log.warning(
            "cancel_guard: the slot of a running request of %s lapsed: its worker could not renew it within %g s; "
            "the request goes on without one",
            lease.gauge,
            self.settings.lease_seconds,
        )

    async def _acquire(self, request: Request, gauge: str, limit: int) -> Admission:
        lease = Lease(gauge)
        # A cancelled acquire may still reach Redis, and its release may overtake it on another connection: the id is
        # tied to the request first and the acquire finished, so that the release can only come after it.
        self.registry.hold(request, lease)
        acquire = begin(self.gauge.acquire(lease, limit))
        try:
            done = await finish(acquire, within=self.settings.redis_timeout * 2)
            admission = acquire.result() if done else self._admit_without_redis(gauge, limit, "no answer in time")
            if done:
                self._recovered()
        except (GaugeUnavailableError, GaugeCorruptError) as error:
            admission = self._admit_without_redis(gauge, limit, error)
        if not admission.admitted:
            self.registry.drop(request)
        return admission

    def _admit_without_redis(self, gauge: str, limit: int, why: object) -> Admission:
        if not self._degraded:
            self._degraded = True
            log.warning(
                "cancel_guard: cannot count slots in Redis (%s); until it answers, this worker %s",
                why,
                "admits every request"
                if self.settings.on_redis_error == "open"
                else "enforces each cap on the slots it holds itself",
            )
        held = self.registry.held(gauge)
        admitted = self.settings.on_redis_error == "open" or held <= limit
        return Admission(admitted=admitted, in_flight=held if admitted else held - 1)

    def _recovered(self) -> None:
        if self._degraded:
            self._degraded = False
            log.warning("cancel_guard: Redis answers again; slots are counted there")

    async def _release(self, lease: Lease) -> None:
        """Release *lease*, and try again until Redis confirms or the lease has lapsed by itself. Never raises."""
        loop = asyncio.get_running_loop()
        lapses_at = loop.time() + self.settings.lease_seconds
        pause = _FIRST_RETRY_SECONDS
        while True:
            try:
                await self.gauge.release(lease)
            except GaugeUnavailableError as error:
                if loop.time() + pause >= lapses_at:
                    log.warning("cancel_guard: a slot of %s is left to lapse: %s", lease.gauge, error)
                    return
                await asyncio.sleep(pause)
                pause = min(pause * 2, self.settings.heartbeat_seconds)
            except Exception as error:
                log.warning("cancel_guard: a slot of %s is left to lapse: %s", lease.gauge, error)
                return
            else:
                return

    def _released(self, gauge: str, task: asyncio.Task[Any]) -> None:
        under_way = self._releasing[gauge]
        under_way.discard(task)
        self._freed[gauge] = self._freed.get(gauge, 0) + 1
        if not under_way:
            del self._releasing[gauge]
            if not self.registry.held(gauge):
                del self._freed[gauge]
        for waiter in self._waiting.pop(gauge, ()):
            if not waiter.done():
                waiter.set_result(None)

    async def _came_free(self, gauge: str, under_way: tuple[asyncio.Task[Any], ...]) -> bool:
        """Wait, a few milliseconds, for a release of this worker that the refused request has overtaken.

        Releases *under_way* when it came in count, and those that began since; where a route has no hook before its
        last byte, also the one that begins when the request task of that route ends.
        """
        under_way = (*under_way, *self._releasing.get(gauge, ()))
        if under_way:
            done, _ = await asyncio.wait(under_way, timeout=_SECOND_LOOK_SECONDS, return_when=asyncio.FIRST_COMPLETED)
            return bool(done)
        if not self.registry.holds_unhooked(gauge):
            return False
        freed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(gauge, []).append(freed)
        await asyncio.wait((freed,), timeout=_SECOND_LOOK_SECONDS)
        return freed.done()
