"""All gauges of a Redis, and what an operator does to one by hand. Whichever layout lies there is found by its keys."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from litellm_cancel_guard.gauge import GaugeUnavailableError
from litellm_cancel_guard.gauge.keys import Keys
from litellm_cancel_guard.gauge.layout import WINDOW_SECONDS, counted_layout, slots_layout
from litellm_cancel_guard.gauge.redis import RedisGauge
from litellm_cancel_guard.lease import Lease

if TYPE_CHECKING:
    from collections.abc import Callable

_OURS = re.compile(r"^(?P<prefix>.*)\{(?P<gauge>api_key:.+)\}:(?P<what>max_parallel_requests|cancel_guard:slots)$")


@dataclass(frozen=True, order=True)
class Place:
    """Where the slots of one key lie.

    Attributes:
        gauge: ``api_key:<hash>``.
        prefix: LiteLLM's namespace with its colon, or nothing.
        counting: whether a LiteLLM of 1.80 to 1.93 counts there.
    """

    gauge: str
    prefix: str
    counting: bool


@dataclass(frozen=True)
class Count:
    """What is in flight for one key.

    Attributes:
        slots: id of each slot and the seconds until it lapses, the first to lapse first.
        number: what LiteLLM reads as the number in flight.
    """

    place: Place
    slots: list[tuple[str, float]]
    number: int

    @property
    def differs(self) -> bool:
        """Whether LiteLLM's number is another than that of the slots that live."""
        return self.number != len(self.slots)


class Survey:
    """Reads and mends by one client, which the caller closes. Every call may raise what a gauge does."""

    def __init__(self, client: Any, *, namespace: str, window_seconds: float = WINDOW_SECONDS) -> None:
        self._client = client
        self._namespace = namespace
        self._window_seconds = window_seconds

    async def places(self) -> list[Place]:
        """Return the keys with slots, those of our namespace only where there is one.

        Raises:
            GaugeUnavailableError: Redis could not be asked.
        """
        found: dict[tuple[str, str], bool] = {}
        try:
            async for raw in self._client.scan_iter(match="*{api_key:*}:*", count=1000):
                match = _OURS.match(raw.decode() if isinstance(raw, bytes) else raw)
                if match is None or (self._namespace and match["prefix"] not in ("", f"{self._namespace}:")):
                    continue
                where = match["gauge"], match["prefix"]
                # At rest the counting layout may keep its number alone: LiteLLM writes it as text.
                counting = match["what"] != "max_parallel_requests" or await self._type(raw) == "string"
                found[where] = found.get(where, False) or counting
        except Exception as exc:
            raise GaugeUnavailableError(f"{type(exc).__name__}: {str(exc)[-200:]}") from exc
        return sorted(Place(gauge, prefix, counting) for (gauge, prefix), counting in found.items())

    async def count(self, place: Place) -> Count:
        """Return the slots of *place* and LiteLLM's number, changing neither.

        Raises:
            GaugeUnavailableError: Redis could not be asked.
            GaugeCorruptError: a key of them holds another type.
        """
        slots = await self._gauge(place).slots(place.gauge)
        return Count(place, slots, await self._number(place))

    async def release(self, place: Place, slot: str) -> int:
        """Give one slot back; return how many are left. One whose request runs is taken again at the next beat."""
        return await self._gauge(place).release(Lease(place.gauge, slot))

    async def reconcile(self, place: Place) -> int:
        """Make LiteLLM's number that of the slots that live, and return it.

        Requests of workers without the guard that are in flight up to 1.93 are in that number alone, and forgotten.
        """
        if place.counting:
            keys = Keys(self._named(place))
            await self._ask(self._client.delete(keys.limiter_count(place.gauge), keys.mirror(place.gauge)))
        return await self._gauge(place).count(place.gauge)

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
            raise GaugeUnavailableError(f"{type(exc).__name__}: {str(exc)[-200:]}") from exc

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
