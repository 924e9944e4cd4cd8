"""A gauge in a set that does as a test says, and what the tests of the ledger do with it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from litellm_cancel_guard.gauge import GaugeUnavailableError
from litellm_cancel_guard.lease.lease import Admission, FollowUp, Lease
from litellm_cancel_guard.ledger.ledger import Ledger
from litellm_cancel_guard.ledger.registry import Registry, Request
from litellm_cancel_guard.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

KEY = "api_key:k"


class ScriptedGauge:
    """A gauge in a set, whose calls take a turn of the loop before and after the deed, and fail on demand."""

    def __init__(self) -> None:
        self.slots: set[Lease] = set()
        self.acquires = 0
        self.releases = 0
        self.holds = 0
        self.most = 0
        self.failing: Exception | None = None
        self.failures: list[Exception] = []
        self.frozen: asyncio.Event | None = None
        self.late = 0.0
        self.nodes: dict[str, str] = {}
        self.away: set[str] = set()
        self.corrupt: set[str] = set()
        self.refusals = 0
        self.hold_release: asyncio.Event | None = None
        self.hold_acquire: asyncio.Event | None = None
        self.hold_hold: asyncio.Event | None = None
        self.failing_at_hold: Exception | None = None

    async def _turn(self, *gauges: str) -> None:
        await asyncio.sleep(self.late)
        if self.away.intersection(map(self.node, gauges)):
            raise GaugeUnavailableError("this node is away")
        if self.frozen is not None:
            await self.frozen.wait()
        if self.failures:
            raise self.failures.pop()
        if self.failing is not None:
            raise self.failing

    async def acquire(self, lease: Lease, limit: int, follow_up: FollowUp | None = None) -> Admission:
        self.acquires += 1
        await self._turn(lease.gauge)
        admitted = lease in self.slots or len(self.slots) < limit
        if admitted:
            self.slots.add(lease)
        self.most = max(self.most, len(self.slots))
        if not admitted:
            self.refusals += 1
            if self.hold_acquire is not None:
                await self.hold_acquire.wait()
        await asyncio.sleep(0)
        holders = () if admitted else tuple(lease.id for lease in self.slots)
        return Admission(admitted=admitted, in_flight=len(self.slots), holders=holders)

    async def release(self, lease: Lease) -> int:
        self.releases += 1
        if self.hold_release is not None:
            await self.hold_release.wait()
        await self._turn(lease.gauge)
        self.slots.discard(lease)
        await asyncio.sleep(0)
        return len(self.slots)

    async def renew(self, leases: Collection[Lease]) -> set[Lease]:
        await self._turn(*(lease.gauge for lease in leases))
        return set(leases) - self.slots

    async def hold(self, wanted: Sequence[tuple[Lease, int]]) -> list[bool | None]:
        self.holds += 1
        await self._turn(*(lease.gauge for lease, _ in wanted))
        if self.failing_at_hold is not None:
            raise self.failing_at_hold
        if self.hold_hold is not None:
            await self.hold_hold.wait()
        held: list[bool | None] = []
        for lease, limit in wanted:
            corrupt = lease.gauge in self.corrupt
            if not corrupt and len(self.slots - {lease}) < limit:
                self.slots.add(lease)
            held.append(None if corrupt else lease in self.slots)
        await asyncio.sleep(0)
        return held

    async def count(self, gauge: str) -> int:
        await self._turn(gauge)
        return len(self.slots)

    async def look(self, gauge: str, ids: Sequence[str]) -> set[str]:
        raise NotImplementedError

    def hear(self, told: Callable[[str], object]) -> None:
        raise NotImplementedError

    def node(self, gauge: str) -> str:
        return self.nodes.get(gauge, "")


def opened(ledger: Ledger) -> Request:
    """Open a request of its own, as for another task."""
    request = Request("acompletion")
    assert ledger.registry.held(KEY) >= 0
    return request


async def quiet(ledger: Ledger) -> None:
    while ledger._releases._under_way:  # noqa: ASYNC110 - no one event ends them all
        await asyncio.sleep(0)


def new_ledger(gauge: ScriptedGauge, **settings: object) -> Ledger:
    given = {"lease_seconds": 30, "redis_timeout": 5, **settings}
    return Ledger(Registry(), gauge, Settings.model_validate(given))
