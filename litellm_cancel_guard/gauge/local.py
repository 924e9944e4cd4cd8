"""The gauge where LiteLLM runs without Redis: one process counts for itself."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from litellm_cancel_guard.gauge.line import NOBODY
from litellm_cancel_guard.gauge.waiting import Waiting
from litellm_cancel_guard.lease.lease import Admission

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from litellm_cancel_guard.gauge.line import Waits
    from litellm_cancel_guard.lease.lease import FollowUp, Lease


class _Line:
    """Who waits for a slot of one gauge, under the cap that was asked for last."""

    def __init__(self) -> None:
        self.waiting = Waiting()
        self.limit = 0


class LocalGauge:
    """Slots in this process's memory.

    Other workers are not counted, as LiteLLM itself does not without Redis. No
    lease lapses: a worker that dies takes its memory along. A gauge without
    slots takes no memory. Nothing here awaits, so every call is one atomic
    step in its event loop; nothing is raised.
    """

    def __init__(self) -> None:
        self._held: dict[str, set[str]] = {}
        self._lines: dict[str, _Line] = {}
        self._told: Callable[[str], object] = lambda _: None

    async def acquire(
        self,
        lease: Lease,
        limit: int,
        follow_up: FollowUp | None = None,  # noqa: ARG002 - there is no Redis to run it
    ) -> Admission:
        """Hold a slot for *lease* if fewer than *limit* are held."""
        held = self._held.get(lease.gauge, set())
        if lease.id not in held:
            if len(held) + 1 > limit or lease.gauge in self._lines:
                return self._wait(lease, limit)
            held.add(lease.id)
            self._held[lease.gauge] = held
        return Admission(admitted=True, in_flight=len(held))

    def _wait(self, lease: Lease, limit: int) -> Admission:
        """Refuse *lease*, or let it wait; who is next may be itself."""
        held, line, place = self._held.get(lease.gauge, set()), self._lines.get(lease.gauge, _Line()), ""
        if lease.turn is not None:
            line.limit = limit
            if lease.id not in line.waiting and len(line.waiting) >= lease.turn.most:
                # By a cap that was raised, there may be room for all who waited and this one.
                self._hand(lease.gauge)
                held = self._held.get(lease.gauge, held)
            free = not line.waiting and len(held) + 1 <= limit
            if lease.id in line.waiting or len(line.waiting) < lease.turn.most or free:
                place = line.waiting.park(lease.id, lease.turn.of)
                self._lines[lease.gauge] = line
            self._hand(lease.gauge, own=lease.id)
            held = self._held.get(lease.gauge, held)
            if lease.id in held:
                return Admission(admitted=True, in_flight=len(held))
        return Admission(False, len(held), holders=tuple(held), place=place, waiting=len(line.waiting))

    async def release(self, lease: Lease) -> int:
        """Give the slot of *lease* back, or its place in line; return the slots still held."""
        held = self._held.get(lease.gauge, set())
        held.discard(lease.id)
        if not held:
            self._held.pop(lease.gauge, None)
        if (line := self._lines.get(lease.gauge)) is not None:
            line.waiting.leave(lease.id)
            self._hand(lease.gauge)
        return await self.count(lease.gauge)

    def _hand(self, gauge: str, own: str = "") -> None:
        line, held = self._lines.get(gauge), self._held.get(gauge, set())
        if line is None:
            return
        while len(held) + 1 <= line.limit and (name := line.waiting.next()) is not None:
            held.add(name)
            self._held[gauge] = held
            if name != own:
                self._told(name)
        if not line.waiting:
            del self._lines[gauge]

    async def look(self, gauge: str, ids: Sequence[str]) -> set[str]:
        """Return those of *ids* that wait no more; nothing comes free here without a release."""
        line = self._lines.get(gauge)
        return {name for name in ids if line is None or name not in line.waiting}

    def hear(self, told: Callable[[str], object]) -> None:
        """Tell *told* the id of each waiter who is handed a slot."""
        self._told = told

    async def renew(self, leases: Collection[Lease]) -> set[Lease]:
        """Return those of *leases* that are not held; what is held here needs no renewal."""
        return {lease for lease in leases if lease.id not in self._held.get(lease.gauge, ())}

    async def hold(self, wanted: Sequence[tuple[Lease, int]]) -> list[bool | None]:
        """Acquire each of many leases under the limit beside it; return of each whether it is held now."""
        return [(await self.acquire(replace(lease, turn=None), limit)).admitted for lease, limit in wanted]

    async def count(self, gauge: str) -> int:
        """Return the slots held now."""
        return len(self._held.get(gauge, ()))

    def held(self) -> dict[str, list[str]]:
        """Return the ids of the slots held, by gauge."""
        return {gauge: sorted(ids) for gauge, ids in self._held.items()}

    def line(self, gauge: str) -> Waits:
        """Return who waits for a slot of *gauge*."""
        return self._lines[gauge].waiting.seen() if gauge in self._lines else NOBODY

    def node(self, gauge: str) -> str:  # noqa: ARG002 - as in Gauge
        """Return the one place there is."""
        return ""
