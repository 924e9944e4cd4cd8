"""One beat: renews what this worker holds, and settles what Redis no longer has.

A lease that Redis no longer has at a beat was lost in one of three ways, and what follows differs:

- *Redis lost it* (restarted, flushed, failed over): it was renewed less than a lease ago, so it can't have lapsed. It
  is written again whatever the count, for its request does run: a count that is above the cap for a while admits
  nobody, one that is too low admits too many.
- *Redis could not be asked* for longer than a lease, by this worker or by any: the same. Each worker went on by
  itself, as `on_redis_error` says; afterwards the sum is what is in flight, and nobody is admitted until it is below
  the cap. That others took the slots of a worker that was cut off alone can't be told from that and is treated alike.
- *This worker did not ask* for longer than a lease: its event loop stood still, and nothing stood in for it (see
  `stand_in`). The others relied on Redis meanwhile and may have the slots by right. It takes back what is still free,
  and lets go of the rest: the cap holds.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from itertools import groupby
from operator import attrgetter
from typing import TYPE_CHECKING, NamedTuple, NoReturn

from litellm_cancel_guard.aio.completion import Mark
from litellm_cancel_guard.aio.deadline import Deadline
from litellm_cancel_guard.gauge import GaugeCorruptError, GaugeUnavailableError
from litellm_cancel_guard.gauge.batches import chunks
from litellm_cancel_guard.lease.lease import Ending, Lease
from litellm_cancel_guard.ledger.outage import insisted
from litellm_cancel_guard.redaction.records import log

if TYPE_CHECKING:
    from collections.abc import Collection

    from litellm_cancel_guard.gauge import Gauge
    from litellm_cancel_guard.ledger.outage import Outage
    from litellm_cancel_guard.ledger.registry import Registry, Request
    from litellm_cancel_guard.ledger.releases import Releases
    from litellm_cancel_guard.settings import Settings

    Held = dict[Lease, Request]


# Rounds of writing for those who came during the one before: on a saturated worker somebody always does.
_MOST_ROUNDS = 3
# What a beat may take for each lease on top, which is this process's own work: no silence of Redis.
_SECONDS_PER_LEASE = 0.0005
# A beat that ends an outage asks six times, on new connections; and each part of what is renewed waits for an answer.
_TURNS, _LEASES_PER_TURN = 100, 10
# What a beat goes through before the event loop has a turn: for ten thousand at once, each stream waited for 180 ms.
AT_A_TIME = 500
# For a lease that is written again: it was admitted under the cap when its request came in.
_NO_LIMIT = 2**31 - 1


class Kept(NamedTuple):
    """What was renewed while the event loop stood still; see `StandIn`.

    Attributes:
        asked_at: when the round began that did so last, in seconds on the monotonic clock.
        leases: what Redis had at that.
    """

    asked_at: float
    leases: frozenset[Lease]


class Renewals:
    """One per ledger.

    Attributes:
        renewed_at: when the last beat began at which Redis answered, in seconds on the monotonic clock.
        kept: what another thread has renewed since.
        unwritten: leases of requests that were admitted without Redis: nothing of them has to be released there.
        unsure: leases of requests that were admitted when Redis had not answered in time: it may have them or not.
        asking: leases whose acquire is on its way: a renewal that overtakes it would take them for lost.
        writing: leases that are being written again, each with what is set when that has been answered.
    """

    def __init__(
        self, registry: Registry, gauge: Gauge, settings: Settings, outage: Outage, releases: Releases
    ) -> None:
        self.unwritten: set[Lease] = set()
        self.unsure: set[Lease] = set()
        self.asking: set[Lease] = set()
        self.writing: dict[Lease, Mark] = {}
        self._registry = registry
        self._gauge = gauge
        self._settings = settings
        self._outage = outage
        self._releases = releases
        # Leases that this worker failed to renew in time; see the module's third case.
        self._overdue: set[Lease] = set()
        self._asked_at = self.renewed_at = time.monotonic()
        self.kept = Kept(0.0, frozenset())

    def forget(self, lease: Lease) -> bool:
        """Forget about *lease*, whose request has ended; return whether it was never written."""
        self._overdue.discard(lease)
        unwritten = lease in self.unwritten
        self.unwritten.discard(lease)
        self.unsure.discard(lease)
        return unwritten

    async def renew(self) -> None:
        """Renew every lease held here, node by node, and settle those that Redis no longer has.

        It asks for no longer than a beat, so that silence is not taken for an event loop that stood still. During an
        outage this is what asks Redis, also where nothing is held.
        """
        began = time.monotonic()
        asked_before, self._asked_at = self._asked_at, began
        held = self._registry.held_here()
        if self.asking:
            held = [lease for lease in held if lease not in self.asking]
        if self._overdue:
            self._overdue.intersection_update(held)
        shares = await self._by_node(held)
        done = await asyncio.gather(
            *(self._renew(node, share, asked_before) for node, share in shares.items()), return_exceptions=True
        )
        for failure in done:
            if failure is not None:
                _raise(failure)
        if not self._outage.on:
            self.renewed_at = began
        if self.kept.asked_at < began:
            self.kept = Kept(0.0, frozenset())

    async def _by_node(self, held: list[Lease]) -> dict[str, list[Lease]]:
        shares: dict[str, list[Lease]] = {node: [] for node in self._outage.away}
        for some in chunks(held, AT_A_TIME):
            for gauge, leases in groupby(some, key=attrgetter("gauge")):
                shares.setdefault(self._gauge.node(gauge), []).extend(leases)
            await asyncio.sleep(0)
        return shares

    async def _renew(self, node: str, held: list[Lease], asked_before: float) -> None:
        gauge = held[0].gauge if held else self._outage.away[node]
        try:
            patience = min(self._settings.redis_timeout, self._settings.heartbeat_seconds)
            async with Deadline(
                patience + len(held) * _SECONDS_PER_LEASE, turns=_TURNS + len(held) // _LEASES_PER_TURN
            ):
                lost = await self._ask(node, gauge, held)
        except (GaugeUnavailableError, TimeoutError) as error:
            self._outage.begin(gauge, str(error) or "no answer in time")
            return
        finally:
            self._note_overdue(held, asked_before)
        if node in self._outage.away and not await self._releases.catch_up(node):
            return
        try:
            # A failover may have moved it while it was asked: what was admitted meanwhile is to be written there.
            nodes = {node, self._gauge.node(gauge)}
            tried = await self._settle(nodes, held, lost)
            self._outage.end(node)
            # Those who came during the last round; whoever comes from now on asks Redis.
            await self._write_again(self._missing(nodes, tried))
        except GaugeUnavailableError as error:
            self._outage.begin(gauge, error)

    async def _ask(self, node: str, gauge: str, held: list[Lease]) -> set[Lease]:
        if node in self._outage.away:
            # It writes as an acquire does: a Redis that answers and refuses to write is away.
            with suppress(GaugeCorruptError):
                await self._gauge.count(gauge)
        return await insisted(self._settings.redis_timeout, self._gauge.renew, held) if held else set()

    def _note_overdue(self, held: list[Lease], asked_before: float) -> None:
        """Note what may have lapsed because nobody asked: known only after the answer, which may itself be late."""
        now, lease_seconds = time.monotonic(), self._settings.lease_seconds
        if now - asked_before < lease_seconds:
            return
        kept = self.kept
        for lease, request in self._tied_to(held).items():
            asked_at = max(request.opened_at, kept.asked_at if lease in kept.leases else 0.0)
            if now - asked_at >= lease_seconds:
                self._overdue.add(lease)

    def _tied_to(self, leases: Collection[Lease]) -> Held:
        found = ((lease, self._registry.holding(lease)) for lease in leases)
        return {lease: request for lease, request in found if request is not None}

    async def _settle(self, nodes: set[str], held: list[Lease], found_lost: set[Lease]) -> set[Lease]:
        """Write what Redis no longer has or never had; return what of the latter was tried."""
        # The release may have overtaken the renewal: such a lease is not lost but given back.
        lost = self._tied_to(found_lost)
        late = [lease for lease in lost if lease in self._overdue]
        vanished = len(lost.keys() - self._overdue - self.unwritten)
        if vanished and nodes.isdisjoint(self._outage.away):
            log.warning("cancel_guard: Redis had lost %d slots that are held here; they are written again", vanished)
        taken = await self._write_again(lost)
        if late:
            log.warning(
                "cancel_guard: the event loop stood still for longer than a lease (%g s) and %d slots of running "
                "requests lapsed; %d were still free and are held again, the other requests go on without one",
                self._settings.lease_seconds,
                len(late),
                len(taken.intersection(late)),
            )
        # Requests that were admitted without Redis while the others were being written, and while these are: one that
        # is left out when the outage ends is not in the count of those that come then, and they are admitted above N.
        tried: set[Lease] = set()
        for _ in range(_MOST_ROUNDS):
            missing = self._missing(nodes, tried)
            tried |= missing.keys()
            await self._write_again(missing)
        if self._overdue:
            self._overdue.difference_update(held)
        return tried

    def _missing(self, nodes: set[str], tried: set[Lease]) -> Held:
        wanted = (self.unwritten | self.unsure) - tried
        return self._tied_to([lease for lease in wanted if self._gauge.node(lease.gauge) in nodes])

    async def _write_again(self, missing: Held) -> set[Lease]:
        """Write leases that Redis does not have, and return those it has now."""
        missing = {lease: request for lease, request in missing.items() if request.ending is None}
        if not missing:
            return set()
        # Until it is answered, Redis may have them or not; one that ends meanwhile is to be released there.
        self.unwritten -= missing.keys()
        self.unsure |= missing.keys()
        wanted = [(lease, request.limit if lease in self._overdue else _NO_LIMIT) for lease, request in missing.items()]
        written = Mark()
        self.writing.update(dict.fromkeys(missing, written))
        try:
            [answer] = await asyncio.gather(self._gauge.hold(wanted), return_exceptions=True)
        finally:
            for lease in missing:
                self.writing.pop(lease, None)
            written.set()
        if isinstance(answer, BaseException):
            _raise(answer)
        self.unsure -= missing.keys()
        return {
            lease
            for (lease, request), held in zip(missing.items(), answer, strict=True)
            if self._is_held(lease, request, held)
        }

    def _is_held(self, lease: Lease, request: Request, held: bool | None) -> bool:
        """Draw the conclusions of what the gauge said of *lease*: whether it is *held*, or None."""
        if held is None:
            if request.ending is None:
                self.unwritten.add(lease)
        elif not held and request.ending is None:
            self._registry.end(request, Ending.LAPSED)
            self._releases.tidy(lease.gauge)
        return held is True


def _raise(failure: BaseException) -> NoReturn:
    """Raise *failure*; a cancellation of a call, which is none of the beat's, as GaugeUnavailableError.

    It would end the heartbeat, and every slot of this worker be given back under its running request.
    """
    if isinstance(failure, Exception):
        raise failure
    raise GaugeUnavailableError(f"{type(failure).__name__} while Redis was asked") from failure
