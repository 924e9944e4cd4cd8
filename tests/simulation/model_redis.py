"""Redis as the workers know it: leases that lapse on its clock, and a network that is late and forgets."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import anyio

from litellm_cancel_guard.gauge import GaugeUnavailableError
from litellm_cancel_guard.lease.lease import Admission

if TYPE_CHECKING:
    import asyncio
    import random
    from collections.abc import Callable, Collection, Sequence

    from litellm_cancel_guard.lease.lease import FollowUp, Lease
    from tests.simulation.world import WorkerLoop, World


@dataclass
class Network:
    """How long a message takes, in seconds, and how many of a thousand are lost."""

    latency: float = 0.002
    lost: int = 0


@dataclass
class ModelRedis:
    """Each of the calls is one step, at the moment its message arrives."""

    world: World
    lease_seconds: float
    slots: dict[Lease, float] = field(default_factory=dict)
    paused_until: float = 0.0
    takes: Counter[Lease] = field(default_factory=Counter)
    effective_releases: dict[Lease, int] = field(default_factory=dict)
    most: int = 0

    def live(self, gauge: str) -> list[Lease]:
        return [lease for lease, lapses in self.slots.items() if lapses > self.world.now and lease.gauge == gauge]

    def acquire(self, lease: Lease, limit: int) -> Admission:
        live = self.live(lease.gauge)
        if lease not in live and len(live) + 1 > limit:
            return Admission(admitted=False, in_flight=len(live))
        self.takes[lease] += lease not in live
        self.slots[lease] = self.world.now + self.lease_seconds
        in_flight = len(self.live(lease.gauge))
        self.most = max(self.most, in_flight)
        return Admission(admitted=True, in_flight=in_flight)

    def release(self, lease: Lease) -> int:
        if self.slots.pop(lease, 0) > self.world.now:
            self.effective_releases[lease] = self.effective_releases.get(lease, 0) + 1
        return len(self.live(lease.gauge))

    def renew(self, leases: Collection[Lease]) -> set[Lease]:
        held = {lease for lease in leases if self.slots.get(lease, 0) > self.world.now}
        self.slots.update(dict.fromkeys(held, self.world.now + self.lease_seconds))
        return set(leases) - held

    def flush(self) -> None:
        self.slots.clear()


class ModelGauge:
    """One worker's way to Redis; a call that gets no answer in time raises, and may still be carried out."""

    def __init__(
        self, redis: ModelRedis, network: Network, loop: WorkerLoop, chance: random.Random, timeout: float
    ) -> None:
        self._redis = redis
        self._network = network
        self._loop = loop
        self._chance = chance
        self._timeout = timeout

    async def acquire(self, lease: Lease, limit: int, follow_up: FollowUp | None = None) -> Admission:
        return await self._call(lambda: self._redis.acquire(lease, limit))  # type: ignore[no-any-return]

    async def release(self, lease: Lease) -> int:
        return await self._call(lambda: self._redis.release(lease))  # type: ignore[no-any-return]

    async def renew(self, leases: Collection[Lease]) -> set[Lease]:
        some = list(leases)
        return await self._call(lambda: self._redis.renew(some))  # type: ignore[no-any-return]

    async def hold(self, wanted: Sequence[tuple[Lease, int]]) -> list[bool | None]:
        some = list(wanted)
        return await self._call(lambda: [self._redis.acquire(*each).admitted for each in some])  # type: ignore[no-any-return]

    async def count(self, gauge: str) -> int:
        return await self._call(lambda: len(self._redis.live(gauge)))  # type: ignore[no-any-return]

    async def look(self, gauge: str, ids: Sequence[str]) -> set[str]:
        raise NotImplementedError

    def hear(self, told: Callable[[str], object]) -> None:
        raise NotImplementedError

    def node(self, gauge: str) -> str:
        return ""

    async def _call(self, deed: Callable[[], Any]) -> Any:
        answer: asyncio.Future[Any] = self._loop.create_future()
        self._send(lambda: self._arrive(deed, answer))
        try:
            with anyio.fail_after(self._timeout):
                return await answer
        except TimeoutError as late:
            raise GaugeUnavailableError("no answer") from late

    def _arrive(self, deed: Callable[[], Any], answer: asyncio.Future[Any]) -> None:
        world = self._redis.world
        if self._redis.paused_until > world.now:
            world.at(self._redis.paused_until, lambda: self._arrive(deed, answer))
            return
        said = deed()
        self._send(lambda: self._deliver(answer, said))

    def _deliver(self, answer: asyncio.Future[Any], said: Any) -> None:
        if not self._loop.killed and not answer.done():
            answer.set_result(said)

    def _send(self, arrive: Callable[[], None]) -> None:
        if self._chance.randrange(1000) >= self._network.lost:
            self._redis.world.after(self._chance.expovariate(1 / self._network.latency), arrive)
