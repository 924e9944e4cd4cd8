"""Workers of the simulation: the real ledger, registry and heartbeat, and clients that come and go at random."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import TYPE_CHECKING

from litellm_cancel_guard.lease.lease import Ending, Turn, class_of
from litellm_cancel_guard.ledger import ledger as ledger_module
from litellm_cancel_guard.ledger import line as line_module
from litellm_cancel_guard.ledger import outage as outage_module
from litellm_cancel_guard.ledger import registry as registry_module
from litellm_cancel_guard.ledger import renewals as renewals_module
from litellm_cancel_guard.ledger.heartbeat import Heartbeat
from litellm_cancel_guard.ledger.ledger import Ledger
from litellm_cancel_guard.ledger.registry import Registry, Request
from litellm_cancel_guard.settings import Settings
from tests.simulation.model_redis import ModelGauge, ModelRedis, Network
from tests.simulation.world import World

if TYPE_CHECKING:
    import pytest

KEY = "api_key:k"
SETTINGS = Settings(lease_seconds=6, redis_timeout=1)
LONGEST_SECONDS = 10.0


@dataclass
class Worker:
    """One process of the proxy."""

    sim: Simulation
    ledger: Ledger = field(init=False)
    flying: set[Request] = field(default_factory=set)

    def __post_init__(self) -> None:
        sim = self.sim
        self.loop = sim.world.loop()
        gauge = ModelGauge(sim.redis, sim.network, self.loop, sim.chance, SETTINGS.redis_timeout)
        self.ledger = Ledger(Registry(), gauge, SETTINGS)
        self.heartbeat = Heartbeat(self.ledger.renew, self.ledger.give_back, self.ledger.pace)
        self.ledger.outage.when_begun(self.heartbeat.hurry)

    @property
    def answers(self) -> bool:
        return not self.loop.killed and self.loop.still_until <= self.sim.world.now

    def kill(self) -> None:
        """Its connections to the provider end with it."""
        self.loop.killed = True
        self.flying.clear()

    def stand_still(self, seconds: float) -> None:
        self.loop.still_until = self.sim.world.now + seconds

    def serve(
        self, key: str, limit: int, seconds: float, leaves_after: float | None, of: int | None = None
    ) -> asyncio.Task[None]:
        """Serve a request that takes so many seconds, of one of four agents."""
        agent = self.sim.chance.randrange(4) if of is None else of
        task: asyncio.Task[None] = self.loop.create_task(self._serve(key, limit, seconds, agent))
        if leaves_after is not None:
            self.loop.call_later(leaves_after, task.cancel)
        return task

    async def one_after_another(self, key: str, count: int) -> None:
        """A client that has nothing else in flight."""
        for _ in range(count):
            await self.serve(key, 1, self.sim.chance.expovariate(2), None)

    async def _serve(self, key: str, limit: int, seconds: float, of: int) -> None:
        self.heartbeat.start()
        request = Request("acompletion")
        if self.sim.patience:
            request.may_wait(Turn(100, class_of(of << 8, self.sim.turns[of])), self.sim.patience)
        task = asyncio.current_task()
        assert task is not None
        task.add_done_callback(lambda _: self.ledger.end_soon(request, Ending.TASK_ENDED))
        ending = Ending.CLIENT_LEFT
        with suppress(asyncio.CancelledError):
            try:
                admission = await self.ledger.admit(request, key, limit)
                if admission.admitted:
                    self._takes_off(request, key)
                    await asyncio.sleep(seconds)
                    ending = Ending.COMPLETED
                else:
                    self.sim.refused[key] += 1
                    ending = Ending.REFUSED
            finally:
                self.flying.discard(request)
                await self.ledger.end(request, ending)

    def _takes_off(self, request: Request, key: str) -> None:
        self.flying.add(request)
        self.sim.admitted += 1
        self.sim.note_flight(key)


class Simulation:
    """A Redis, a network, and workers, all from one seed."""

    def __init__(self, seed: int, monkeypatch: pytest.MonkeyPatch, workers: int) -> None:
        self.chance = random.Random(seed)
        self.world = World()
        clock = SimpleNamespace(monotonic=lambda: self.world.now)
        for module in (ledger_module, line_module, outage_module, registry_module, renewals_module):
            monkeypatch.setattr(module, "time", clock)
        self.network = Network()
        self.redis = ModelRedis(self.world, SETTINGS.lease_seconds)
        self.admitted = self.most_flying = 0
        self.patience = 0.0
        self.turns = (1, 1, 1, 1)
        self.refused: Counter[str] = Counter()
        self.workers = [Worker(self) for _ in range(workers)]

    def note_flight(self, key: str) -> None:
        flying = [r for w in self.workers for r in w.flying if r.lease and r.lease.gauge == key]
        self.most_flying = max(self.most_flying, len([r for r in flying if r.ending is not Ending.LAPSED]))

    def clients(self, until: float, limit: int) -> None:
        """Clients of one key, to workers at random, half of whom leave before their answer is there."""
        moment = self.world.now
        while (moment := moment + self.chance.expovariate(4)) < until:
            self.world.at(moment, lambda: self._client(limit))

    def _client(self, limit: int) -> None:
        able = [worker for worker in self.workers if not worker.loop.killed]
        if able:
            # One in five thousand would still run when all are taken to have left.
            seconds = min(self.chance.expovariate(0.7), LONGEST_SECONDS)
            leaves = self.chance.choice([None, None, self.chance.expovariate(1), self.chance.expovariate(300)])
            self.chance.choice(able).serve(KEY, limit, seconds, leaves)

    def held(self) -> set[object]:
        return {
            lease for worker in self.workers if not worker.loop.killed for lease, _ in worker.ledger.registry.leases()
        }

    def check_rest(self) -> None:
        """Promise 1, once everybody has left and a lease has passed: nothing is held anywhere, by anybody."""
        redis, alive = self.redis, [worker for worker in self.workers if not worker.loop.killed]
        assert redis.live(KEY) == []
        assert self.held() == set()
        assert [line.waiting.next() for line in redis.lines.values()] == [None] * len(redis.lines)
        assert [worker.ledger.line._by_id for worker in alive] == [{}] * len(alive)
        assert [worker.ledger._releases._under_way for worker in alive] == [{}] * len(alive)
        assert [
            w.ledger._renewals.unwritten | w.ledger._renewals.unsure | w.ledger._renewals.asking for w in alive
        ] == [set()] * len(alive)
        assert [worker.ledger._releases._freed for worker in alive] == [{}] * len(alive)
        assert [worker.ledger.outage.on for worker in alive] == [False] * len(alive)
