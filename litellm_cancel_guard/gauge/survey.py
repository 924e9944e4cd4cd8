"""All gauges of a Redis, and what an operator does to one by hand. Whichever layout lies there is found by its keys."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from litellm_cancel_guard.aio.each import each
from litellm_cancel_guard.gauge import GaugeUnavailableError
from litellm_cancel_guard.gauge.keys import Keys
from litellm_cancel_guard.gauge.layout import WINDOW_SECONDS, counted_layout, slots_layout
from litellm_cancel_guard.gauge.line import NOBODY
from litellm_cancel_guard.gauge.notice import all_records, holding_at, hours, order, record_at, records_by_prefix
from litellm_cancel_guard.gauge.redis import RedisGauge
from litellm_cancel_guard.gauge.sending import text_of, what_of
from litellm_cancel_guard.lease import records, slotname
from litellm_cancel_guard.lease.keyname import key_of
from litellm_cancel_guard.lease.lease import Lease

if TYPE_CHECKING:
    from collections.abc import Callable

    from litellm_cancel_guard.gauge.line import Waits
    from litellm_cancel_guard.lease.counters import Hour
    from litellm_cancel_guard.lease.holders import Holder, Holding, Refusal
    from litellm_cancel_guard.lease.records import Seen
    from litellm_cancel_guard.lease.slotname import SlotName

_WAITS = "cancel_guard:waits"
_WHAT = rf"max_parallel_requests|cancel_guard:slots|{_WAITS}"
_OURS = re.compile(rf"^(?P<prefix>.*)\{{(?P<gauge>api_key:.+)\}}:(?P<what>{_WHAT})$")

_BEATS_AN_ORDER_STANDS = 3


@dataclass(frozen=True, order=True)
class Place:
    """Where the slots of one key lie.

    Attributes:
        gauge: ``api_key:<hash>``.
        prefix: LiteLLM's namespace with its colon, or nothing.
        counting: whether a LiteLLM of 1.80 to 1.93 counts there.
        lined: whether there are keys of a line before it.
    """

    gauge: str
    prefix: str
    counting: bool
    lined: bool = field(default=False, compare=False)


@dataclass(frozen=True)
class Slot:
    """One slot that is held.

    Attributes:
        lapses_in: seconds; None where no slot lapses.
        age: seconds since it was asked for, by the clocks of its worker and of this machine; None where its id does
            not say.
        route: LiteLLM's call type; None where its id does not say.
        worker: the name of its worker; None where its id does not say.
        seen: that worker's record; None where there is none.
        holder: who holds it; None where its worker has not said so, or was not asked.
    """

    id: str
    lapses_in: float | None
    age: float | None = None
    route: str | None = None
    worker: str | None = None
    seen: Seen | None = None
    holder: Holder | None = None


@dataclass(frozen=True)
class Count:
    """What is in flight for one key.

    Attributes:
        slots: the first to lapse first.
        number: what LiteLLM reads as the number in flight.
        lapsed: how many slots lie beside these that have lapsed; LiteLLM drops them before it counts.
        left_out: how many slots more the workers of these hold than they say the holders of.
        line: who waits for one of them.
    """

    place: Place
    slots: list[Slot] = field(default_factory=list)
    number: int = 0
    lapsed: int = 0
    left_out: int = 0
    line: Waits = NOBODY

    @property
    def limit(self) -> int | None:
        """The cap, as a worker with one of the slots has last enforced it; None where none of them says."""
        begins = key_of(self.place.gauge)[: records.HASH_DIGITS]
        said = [slot.seen.record.limits.get(begins) for slot in self.slots if slot.seen is not None]
        return max((limit for limit in said if limit is not None), default=None)

    @property
    def oldest(self) -> float | None:
        """Age of the slot that was taken first, in seconds; None where no id says."""
        return max((slot.age for slot in self.slots if slot.age is not None), default=None)

    @property
    def differs(self) -> bool:
        """Whether LiteLLM's number is another than that of the slots that live."""
        return self.number != len(self.slots)


class Survey:
    """Reads and mends by one client, which the caller closes. Every call may raise what a gauge does."""

    scope = "all workers"

    def __init__(self, client: Any, *, namespace: str, window_seconds: float = WINDOW_SECONDS) -> None:
        self._client = client
        self._namespace = namespace
        self._window_seconds = window_seconds
        self._seen: dict[str, Seen | None] = {}

    async def places(self) -> list[Place]:
        """Return the keys with slots, those of our namespace only where there is one.

        Raises:
            GaugeUnavailableError: Redis could not be asked.
        """
        found: dict[tuple[str, str], bool] = {}
        lined: set[tuple[str, str]] = set()
        unsure: list[tuple[Any, tuple[str, str]]] = []
        try:
            async for raw in self._client.scan_iter(match="*{api_key:*}:*", count=1000):
                match = _OURS.match(text_of(raw))
                if match is None or not self._is_ours(match["prefix"]):
                    continue
                where = match["gauge"], match["prefix"]
                if match["what"] == _WAITS:
                    lined.add(where)
                    continue
                counting = match["what"] != "max_parallel_requests"
                found[where] = found.get(where, False) or counting
                if not counting:
                    unsure.append((raw, where))
            # At rest the counting layout may keep its number alone: LiteLLM writes it as text.
            types = await each(self._type, [raw for raw, _ in unsure])
            found |= {where: True for (_, where), kind in zip(unsure, types, strict=True) if kind == "string"}
        except Exception as exc:
            raise GaugeUnavailableError(what_of(exc)) from exc
        return sorted(Place(*where, counting, lined=where in lined) for where, counting in found.items())

    async def workers(self) -> list[Seen]:
        """Return what the workers say of themselves.

        Raises:
            GaugeUnavailableError: Redis could not be asked.
        """
        return await all_records(self._client, self._is_ours)

    async def holding(self, worker: str, place: Place) -> Holding:
        """Return what *worker*, which has a slot of *place*, says of who holds its slots."""
        return await holding_at(self._client, Keys(self._named(place)).holding(worker))

    async def hours(self, since: int) -> list[Hour]:
        """Return what all workers have counted in each hour from that of *since* on, in seconds since 1970.

        Raises:
            GaugeUnavailableError: Redis could not be asked.
        """
        return await hours(self._client, self._is_ours, since)

    async def refusal(self, call_id: str) -> tuple[Refusal, Holding, Seen] | None:
        """Return the last refusal of *call_id*, what its worker says of its own slots, and that worker.

        Raises:
            GaugeUnavailableError: Redis could not be asked.
        """
        found = []
        for prefix, seen in await records_by_prefix(self._client, self._is_ours):
            holding = await self.holding(seen.record.worker, Place("", prefix, counting=False))
            found += [(one, holding, seen) for one in holding.refusals if one.call_id == call_id]
        return max(found, key=lambda one: one[0].at, default=None)

    async def count(self, place: Place) -> Count:
        """Return the slots of *place*, who waits for one, and LiteLLM's number, changing nothing.

        Raises:
            GaugeUnavailableError: Redis could not be asked.
            GaugeCorruptError: a key of them holds another type.
        """
        held, line = await self._gauge(place).listed(place.gauge, lined=place.lined)
        slots = [await self._slot(place, slot_id, left) for slot_id, left in held]
        number, lapsed = await self._number(place), 0
        if not place.counting:
            number, lapsed = len(slots), max(0, number - len(slots))
        return Count(place, slots, number, lapsed, line=line)

    async def release(self, place: Place, slot: str) -> int:
        """Give one slot back; return how many are left. One whose request runs is taken again at the next beat."""
        return await self._gauge(place).release(Lease(place.gauge, slot))

    async def order(self, place: Place, slot: Slot, by: str) -> float:
        """Order the worker of *slot* to end its request, as *by* asks; return the seconds until it has read it.

        Raises:
            GaugeUnavailableError: Redis could not be asked.
        """
        beat = 0.0 if slot.seen is None else slot.seen.record.beat_seconds
        key = Keys(self._named(place)).orders(str(slot.worker))
        await order(self._client, key, slot.id, by, stands=_BEATS_AN_ORDER_STANDS * beat + 1)
        return beat

    async def reconcile(self, place: Place) -> int:
        """Make LiteLLM's number that of the slots that live, and return it.

        Requests of workers without the guard that are in flight up to 1.93 are in that number alone, and forgotten.
        """
        if place.counting:
            keys = Keys(self._named(place))
            await self._ask(self._client.delete(keys.limiter_count(place.gauge), keys.mirror(place.gauge)))
        return await self._gauge(place).count(place.gauge)

    async def _slot(self, place: Place, slot_id: str, lapses_in: float) -> Slot:
        said = slotname.read(slot_id)
        seen = None if said is None else await self._seen_of(Keys(self._named(place)).worker(said.worker))
        return slot_named(slot_id, lapses_in, said, seen)

    async def _seen_of(self, key: str) -> Seen | None:
        if key not in self._seen:
            self._seen[key] = await record_at(self._client, key)
        return self._seen[key]

    def _is_ours(self, prefix: str) -> bool:
        return not self._namespace or prefix in ("", f"{self._namespace}:")

    async def _number(self, place: Place) -> int:
        key = Keys(self._named(place)).limiter_count(place.gauge)
        if not place.counting:
            return int(await self._ask(self._client.zcard(key)))
        try:
            return int(float(await self._ask(self._client.get(key)) or 0))
        except ValueError:
            return 0

    async def _ask(self, answer: Any) -> Any:
        try:
            return await answer
        except Exception as exc:
            raise GaugeUnavailableError(what_of(exc)) from exc

    async def _type(self, key: Any) -> str:
        found = await self._client.type(key)
        return found.decode() if isinstance(found, bytes) else str(found)

    def _gauge(self, place: Place) -> RedisGauge:
        named = self._named(place)
        if place.counting:
            layout = counted_layout(window_seconds=self._window_seconds, namespaced=named)
        else:
            layout = slots_layout(namespaced=named)
        return RedisGauge(lambda: self._client, layout, lease_seconds=30, timeout_seconds=5)

    @staticmethod
    def _named(place: Place) -> Callable[[str], str]:
        return lambda key: place.prefix + key


def slot_named(slot_id: str, lapses_in: float | None, said: SlotName | None, seen: Seen | None) -> Slot:
    """Return the slot of that id, which says so much of it; *seen* is its worker's record."""
    if said is None:
        return Slot(slot_id, lapses_in)
    return Slot(slot_id, lapses_in, max(0.0, time.time() - said.since), said.route, said.worker, seen)
