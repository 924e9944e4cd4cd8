"""What an operator sees and does by hand where LiteLLM runs without Redis: this process alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from litellm_cancel_guard.gauge import GaugeUnavailableError
from litellm_cancel_guard.gauge.survey import Count, Place, slot_named
from litellm_cancel_guard.lease import records, slotname
from litellm_cancel_guard.lease.holders import Holding
from litellm_cancel_guard.lease.lease import Lease

if TYPE_CHECKING:
    from collections.abc import Callable

    from litellm_cancel_guard.gauge.local import LocalGauge
    from litellm_cancel_guard.gauge.survey import Slot
    from litellm_cancel_guard.lease.records import Record, Seen


class LocalSurvey:
    """The slots of this process alone, where LiteLLM runs without Redis."""

    scope = "this worker"

    def __init__(self, gauge: LocalGauge, record: Callable[[], Record], holding: Callable[[], Holding | None]) -> None:
        self._gauge = gauge
        self._record = record
        self._holding = holding

    async def places(self) -> list[Place]:
        """Return the keys that hold slots here."""
        return [Place(gauge, "", counting=False) for gauge in sorted(self._gauge.held())]

    async def count(self, place: Place) -> Count:
        """Return the slots of *place*, none of which lapses."""
        seen = records.Seen(self._record(), 0.0)
        held = self._gauge.held().get(place.gauge, ())
        slots = [slot_named(slot_id, None, slotname.read(slot_id), seen) for slot_id in held]
        return Count(place, slots, len(slots), line=self._gauge.line(place.gauge))

    async def holding(self, worker: str, place: Place) -> Holding:  # noqa: ARG002 - as in Survey
        """Return what this one says."""
        return self._holding() or Holding()

    async def workers(self) -> list[Seen]:
        """Return this one."""
        return [records.Seen(self._record(), 0.0)]

    async def release(self, place: Place, slot: str) -> int:
        """Give one slot back; return how many are left."""
        return await self._gauge.release(Lease(place.gauge, slot))

    async def order(self, place: Place, slot: Slot, by: str) -> float:  # noqa: ARG002 - as in Survey
        """Raise GaugeUnavailableError: this worker is asked without Redis, and no other can be."""
        raise GaugeUnavailableError("without Redis no other worker can be told")
