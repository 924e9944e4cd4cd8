"""Acquire and release against redis-py alone doing the same two round trips."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

from benchmarks import slots
from benchmarks.figures import Figure, Results, ratio, spread
from benchmarks.machine import cpu_seconds, pinned
from litellm_cancel_guard.lease.lease import Ending, Lease

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from benchmarks.stage import Plan, Stage

NAME = "pair"
_NAME = f"api_key:{1:064x}"
_LIMIT = 100


def measure(stage: Stage, plan: Plan) -> Results:
    """Return the ratio of the rates, for the gauge alone and for all that a request goes through."""
    results = Results()
    with pinned(stage.cores.measured):
        for layout in slots.LAYOUTS:
            for through in _THROUGH:
                results.figures += asyncio.run(_compare(stage, plan, layout, through))
    return results


async def _compare(stage: Stage, plan: Plan, layout: str, through: str) -> list[Figure]:
    pairs, in_redis, count = [], [], plan.pick(400, 100)
    async with slots.client(stage) as connected:
        ours = _THROUGH[through](connected, layout)
        alone = _redis_py(connected, layout)
        # Ours first: it brings the scripts to Redis.
        for do in (ours, alone):
            await _rate(do, count)
        for turn in range(plan.pick(12, 5)):
            rates = {}
            for do in (ours, alone) if turn % 2 else (alone, ours):
                before = cpu_seconds(stage.redis.pid)
                rates[do] = await _rate(do, count)
                if do is ours:
                    in_redis.append((cpu_seconds(stage.redis.pid) - before) / count * 1e6)
            pairs.append((rates[alone], rates[ours]))
    about = f"{through}, {layout}"
    return [
        ratio(NAME, f"acquire + release per second over redis-py's, {about}", pairs),
        spread(NAME, f"CPU of redis-server per acquire + release, {about}", "µs", in_redis),
    ]


async def _rate(do: Callable[[], Coroutine[Any, Any, None]], count: int) -> float:
    began = time.perf_counter()
    for _ in range(count):
        # A task of its own, as every request has one.
        await asyncio.create_task(do())
    return count / (time.perf_counter() - began)


def _redis_py(connected: Any, layout: str) -> Callable[[], Coroutine[Any, Any, None]]:
    form = slots.LAYOUTS[layout]

    async def do() -> None:
        lease = Lease(_NAME)
        for call in (form.acquire(lease, _LIMIT, 30.0), form.release(lease)):
            await connected.evalsha(call.script.sha, len(call.keys), *call.keys, *call.args)

    return do


def _gauge(connected: Any, layout: str) -> Callable[[], Coroutine[Any, Any, None]]:
    gauge = slots.gauge(connected, layout)

    async def do() -> None:
        lease = Lease(_NAME)
        await gauge.acquire(lease, _LIMIT)
        await gauge.release(lease)

    return do


def _ledger(connected: Any, layout: str) -> Callable[[], Coroutine[Any, Any, None]]:
    book = slots.ledger(connected, layout)

    async def do() -> None:
        task = asyncio.current_task()
        assert task is not None
        request = book.registry.open(task, "acompletion")
        await book.admit(request, _NAME, _LIMIT)
        await book.end(request, Ending.COMPLETED)

    return do


_THROUGH = {"the gauge": _gauge, "registry, ledger and gauge": _ledger}
