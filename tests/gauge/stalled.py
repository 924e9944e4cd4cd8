"""A worker whose event loop stands still, and whose thread renews for it."""

from __future__ import annotations

import threading
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import redis.asyncio as aioredis

from litellm_cancel_guard.gauge.redis import RedisGauge
from litellm_cancel_guard.ledger.ledger import Ledger
from litellm_cancel_guard.ledger.registry import Registry, Request
from litellm_cancel_guard.settings import Settings
from tests.gauge.stores import GAUGE, LAYOUTS, LIMITER_KEY, SLOTS_KEY
from tests.harness.process import LOOPBACK

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Collection

    from litellm_cancel_guard.lease.lease import Lease


LEASE = 2.0
SOON = 10.0


class Worker:
    """A ledger with its registry, whose thread may be watched and held up."""

    def __init__(self, port: int, layout: str = "slots", client: Any = aioredis.Redis, **settings: Any) -> None:
        self.layout = LAYOUTS[layout]
        self.key = LIMITER_KEY if layout == "slots" else SLOTS_KEY
        self.client = client(host=LOOPBACK, port=port)
        self.settings: Any = Settings(lease_seconds=LEASE, redis_timeout=0.5, **settings)
        self.gauge = RedisGauge(
            lambda: self.client,
            self.layout,
            lease_seconds=LEASE,
            timeout_seconds=0.5,
            another=lambda: client(host=LOOPBACK, port=port),
        )
        self.ledger = Ledger(Registry(), self.gauge, self.settings, self.apart)
        self.asked: list[set[Lease]] = []
        self.asks = threading.Event()
        self.may_ask = threading.Event()
        self.may_ask.set()
        self.answered = threading.Event()

    @asynccontextmanager
    async def apart(self) -> AsyncIterator[Any]:
        async with self.gauge.apart() as gauge:
            yield HeldUp(self, gauge)

    async def admitted(self) -> Request:
        request = Request("acompletion")
        assert (await self.ledger.admit(request, GAUGE, 9)).admitted
        return request

    async def beat(self) -> None:
        await self.ledger.renew()
        assert not self.ledger.outage.on


class HeldUp:
    def __init__(self, worker: Worker, gauge: RedisGauge) -> None:
        self._worker = worker
        self._gauge = gauge
        self.node = gauge.node

    async def renew(self, leases: Collection[Lease]) -> set[Lease]:
        worker = self._worker
        worker.asked.append(set(leases))
        worker.asks.set()
        assert worker.may_ask.wait(SOON)
        lost = await self._gauge.renew(leases)
        worker.answered.set()
        return lost


def left_in(client: Any, worker: Worker) -> list[float]:
    """For how many seconds each slot will still be held, as Redis says; the loop that asks stands still meanwhile."""
    seconds, microseconds = client.time()
    scores = client.zrange(worker.key, 0, -1, withscores=True)
    now = seconds + microseconds / 1e6 - worker.layout.horizon_seconds
    return [score - now for _, score in scores if score > now]


def until(reached: Callable[[], object], seconds: float = SOON) -> None:
    """Block the running loop until *reached*."""
    deadline = time.monotonic() + seconds
    while not reached():
        assert time.monotonic() < deadline
        time.sleep(0.002)
