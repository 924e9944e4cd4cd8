"""Redis as the workers know it: leases that lapse on its clock, and a network that is late and forgets."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import anyio

from litellm_cancel_guard.gauge import GaugeUnavailableError
from litellm_cancel_guard.gauge.line import CLAIM_SECONDS, PLACE_SECONDS
from litellm_cancel_guard.gauge.waiting import Waiting
from litellm_cancel_guard.lease.lease import Admission
from tests.simulation.history import History

if TYPE_CHECKING:
    import asyncio
    import random
    from collections.abc import Callable, Collection, Sequence

    from litellm_cancel_guard.lease.lease import FollowUp, Lease, Turn
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
    lines: dict[str, Line] = field(default_factory=dict)

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
        self.lines.clear()

    def line_of(self, gauge: str) -> Line:
        if gauge not in self.lines:
            self.lines[gauge] = line = Line()
            # Places are microseconds there: none that was lost with the line before is given again.
            line.waiting._last = int(self.world.now * 1_000_000)
        return self.lines[gauge]

    def acquire_in_line(self, lease: Lease, turn: Turn, limit: int, home: ModelGauge) -> Admission:
        line, live = self.line_of(lease.gauge), self.live(lease.gauge)
        if lease in live or (not line.waiting and len(live) < limit):
            line.leave(lease.id)
            return self.acquire(lease, 2**31)
        line.limit = limit
        self.drop_lapsed(line)
        place, known = "", lease.id in line.waiting or turn.place
        if not known and len(line.waiting) >= turn.most:
            self.hand(line, lease.gauge)
        free = not line.waiting and len(self.live(lease.gauge)) < limit
        if known or len(line.waiting) < turn.most or free:
            place = line.waiting.park(lease.id, turn.of, turn.place)
            line.history.came(lease.id, line.waiting._places[lease.id][0], place)
            line.homes[lease.id] = lease, home
            line.lapses[lease.id] = self.world.now + PLACE_SECONDS
        self.hand(line, lease.gauge)
        if lease in self.live(lease.gauge):
            return self.acquire(lease, 2**31)
        return Admission(False, len(live), place=place, waiting=len(line.waiting))

    def release_in_line(self, lease: Lease) -> int:
        self.release(lease)
        if (line := self.lines.get(lease.gauge)) is not None:
            line.leave(lease.id)
            self.drop_lapsed(line)
            self.hand(line, lease.gauge)
        return len(self.live(lease.gauge))

    def look(self, gauge: str, ids: Sequence[str]) -> set[str]:
        line = self.line_of(gauge)
        line.lapses.update((name, self.world.now + PLACE_SECONDS) for name in ids if name in line.waiting)
        self.drop_lapsed(line)
        self.hand(line, gauge)
        return {name for name in ids if name not in line.waiting}

    def drop_lapsed(self, line: Line) -> None:
        for name in [name for name, lapses in line.lapses.items() if lapses <= self.world.now]:
            line.leave(name)

    def hand(self, line: Line, gauge: str) -> None:
        """A slot that is handed is held for one claim; its waiter's worker is told."""
        while len(self.live(gauge)) < line.limit and (name := line.waiting.next()) is not None:
            lease, home = line.homes[name]
            line.history.was_handed(name)
            line.leave(name)
            if lease not in self.live(gauge):
                self.takes[lease] += 1
                self.slots[lease] = self.world.now + CLAIM_SECONDS
                self.most = max(self.most, len(self.live(gauge)))
                home.tell(name)

    def idle(self, gauge: str) -> bool:
        """Whether a slot is free although somebody waits whose place has not lapsed."""
        line = self.lines.get(gauge)
        awaited = line is not None and any(lapses > self.world.now for lapses in line.lapses.values())
        return line is not None and awaited and len(self.live(gauge)) < line.limit


@dataclass
class Line:
    """Those who wait for a slot of one gauge: since when nobody looked after each, and who he is."""

    waiting: Waiting = field(default_factory=Waiting)
    limit: int = 0
    lapses: dict[str, float] = field(default_factory=dict)
    homes: dict[str, tuple[Lease, ModelGauge]] = field(default_factory=dict)
    history: History = field(default_factory=History)

    def leave(self, name: str) -> None:
        self.waiting.leave(name)
        self.history.left(name)
        self.lapses.pop(name, None)
        self.homes.pop(name, None)


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
        self._told: Callable[[str], object] = lambda _: None

    async def acquire(self, lease: Lease, limit: int, follow_up: FollowUp | None = None) -> Admission:
        if (turn := lease.turn) is not None:
            return await self._call(lambda: self._redis.acquire_in_line(lease, turn, limit, self))  # type: ignore[no-any-return]
        return await self._call(lambda: self._redis.acquire(lease, limit))  # type: ignore[no-any-return]

    async def release(self, lease: Lease) -> int:
        if lease.turn is not None:
            return await self._call(lambda: self._redis.release_in_line(lease))  # type: ignore[no-any-return]
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
        some = list(ids)
        return await self._call(lambda: self._redis.look(gauge, some))  # type: ignore[no-any-return]

    def hear(self, told: Callable[[str], object]) -> None:
        self._told = told

    def tell(self, name: str) -> None:
        """Publish to this worker: what gets lost is not sent again."""
        self._send(lambda: self._loop.killed or self._loop.call_soon(self._told, name))

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

    def _send(self, arrive: Callable[[], object]) -> None:
        if self._chance.randrange(1000) >= self._network.lost:
            self._redis.world.after(self._chance.expovariate(1 / self._network.latency), arrive)
