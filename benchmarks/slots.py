"""Gauges, ledgers and leases in this process, against the real Redis: what the in-process measures work with."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import redis.asyncio

from litellm_cancel_guard.gauge.layout import Layout, counted_layout, slots_layout
from litellm_cancel_guard.gauge.redis import RedisGauge
from litellm_cancel_guard.gauge.scripts import load
from litellm_cancel_guard.lease.lease import Lease
from litellm_cancel_guard.ledger.ledger import Ledger
from litellm_cancel_guard.ledger.registry import Registry, Request
from litellm_cancel_guard.settings import Settings
from tests.harness.process import LOOPBACK

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from benchmarks.stage import Stage

LAYOUTS: dict[str, Layout] = {"slots": slots_layout(), "counted": counted_layout()}
_LIMIT = 1_000_000
_AT_ONCE = 1000


@asynccontextmanager
async def client(stage: Stage) -> AsyncIterator[Any]:
    """A client as LiteLLM makes it; what it wrote is gone with it."""
    pool = redis.asyncio.BlockingConnectionPool(host=LOOPBACK, port=stage.redis.port, max_connections=50, timeout=60)
    connected: Any = redis.asyncio.Redis(connection_pool=pool)
    try:
        yield connected
    finally:
        await connected.flushdb()
        await connected.aclose()


def gauge(connected: Any, layout: str) -> RedisGauge:
    settings = Settings()
    return RedisGauge(
        lambda: connected, LAYOUTS[layout], lease_seconds=settings.lease_seconds, timeout_seconds=settings.redis_timeout
    )


def ledger(connected: Any, layout: str) -> Ledger:
    return Ledger(Registry(), gauge(connected, layout), Settings())


async def hold_at_once(book: Ledger, connected: Any, layout: str, names: list[str]) -> None:
    """Have the ledger hold a lease for each name, without the requests: as many as a worker could hold."""
    script = load(f"{layout}_acquire")
    await connected.script_load(script.text)
    for start in range(0, len(names), _AT_ONCE):
        async with connected.pipeline(transaction=False) as pipe:
            for name in names[start : start + _AT_ONCE]:
                lease = Lease(name)
                book.registry.hold(Request("acompletion"), lease, _LIMIT)
                call = LAYOUTS[layout].acquire(lease, _LIMIT, Settings().lease_seconds)
                pipe.evalsha(call.script.sha, len(call.keys), *call.keys, *call.args)
            await pipe.execute()


class Holders:
    """Tasks that each hold one slot, as the requests of a worker do, until they are let go."""

    def __init__(self, book: Ledger, names: list[str]) -> None:
        self._book = book
        self._admit, self._end = asyncio.Event(), asyncio.Event()
        # Redis is asked by so many at once: more only wait for one another.
        self._turns = asyncio.Semaphore(32)
        self._tasks = [asyncio.create_task(self._hold(name)) for name in names]
        self._left = len(names)
        self._all_admitted = asyncio.Event()

    async def admit(self) -> None:
        """Have each of them acquire its slot."""
        self._admit.set()
        await self._all_admitted.wait()

    async def let_go(self) -> None:
        """Have them end; what they hold goes with the store."""
        self._end.set()
        await asyncio.gather(*self._tasks)

    async def _hold(self, name: str) -> None:
        await self._admit.wait()
        await self._acquire(name)
        await self._end.wait()

    async def _acquire(self, name: str) -> None:
        task = asyncio.current_task()
        assert task is not None
        request = self._book.registry.open(task, "acompletion")
        async with self._turns:
            admission = await self._book.admit(request, name, _LIMIT)
        assert admission.admitted
        self._left -= 1
        if not self._left:
            self._all_admitted.set()
