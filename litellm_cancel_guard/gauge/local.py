"""The gauge where LiteLLM runs without Redis: one process counts for itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from litellm_cancel_guard.lease.lease import Admission

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from litellm_cancel_guard.lease.lease import FollowUp, Lease


class LocalGauge:
    """Slots in this process's memory.

    Other workers are not counted, as LiteLLM itself does not without Redis. No
    lease lapses: a worker that dies takes its memory along. A gauge without
    slots takes no memory. Nothing here awaits, so every call is one atomic
    step in its event loop; nothing is raised.
    """

    def __init__(self) -> None:
        self._held: dict[str, set[str]] = {}

    async def acquire(
        self,
        lease: Lease,
        limit: int,
        follow_up: FollowUp | None = None,  # noqa: ARG002 - there is no Redis to run it
    ) -> Admission:
        """Hold a slot for *lease* if fewer than *limit* are held."""
        held = self._held.get(lease.gauge, set())
        if lease.id not in held:
            if len(held) + 1 > limit:
                return Admission(admitted=False, in_flight=len(held), holders=tuple(held))
            held.add(lease.id)
            self._held[lease.gauge] = held
        return Admission(admitted=True, in_flight=len(held))

    async def release(self, lease: Lease) -> int:
        """Give the slot of *lease* back, if it is held; return the slots still held."""
        held = self._held.get(lease.gauge)
        if held is None:
            return 0
        held.discard(lease.id)
        if not held:
            del self._held[lease.gauge]
        return len(held)

    async def renew(self, leases: Collection[Lease]) -> set[Lease]:
        """Return those of *leases* that are not held; what is held here needs no renewal."""
        return {lease for lease in leases if lease.id not in self._held.get(lease.gauge, ())}

    async def hold(self, wanted: Sequence[tuple[Lease, int]]) -> list[bool | None]:
        """Acquire each of many leases under the limit beside it; return of each whether it is held now."""
        return [(await self.acquire(lease, limit)).admitted for lease, limit in wanted]

    async def count(self, gauge: str) -> int:
        """Return the slots held now."""
        return len(self._held.get(gauge, ()))

    def held(self) -> dict[str, list[str]]:
        """Return the ids of the slots held, by gauge."""
        return {gauge: sorted(ids) for gauge, ids in self._held.items()}

    def node(self, gauge: str) -> str:  # noqa: ARG002 - as in Gauge
        """Return the one place there is."""
        return ""
