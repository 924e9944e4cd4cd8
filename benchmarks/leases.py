"""What one worker pays for the leases it holds: CPU time of its heartbeat, and memory."""

from __future__ import annotations

import asyncio
import gc
import time
import tracemalloc
from typing import TYPE_CHECKING

from benchmarks import slots
from benchmarks.figures import Figure, Results, Series, Target, at_most, one, spread
from benchmarks.machine import pinned
from litellm_cancel_guard.settings import Settings

if TYPE_CHECKING:
    from benchmarks.stage import Plan, Stage
    from litellm_cancel_guard.ledger import Ledger

NAME = "leases"
_COUNTS = (1_000, 10_000, 50_000)
_PER_KEY = (1, 10)
_KIBIBYTE = 1024


def measure(stage: Stage, plan: Plan) -> Results:
    """Return the heartbeat's share of a core and the bytes of a lease, for leases of few keys and of many."""
    results = Results()
    with pinned(stage.cores.measured):
        for layout in slots.LAYOUTS:
            for per_key in _PER_KEY:
                _grow(stage, plan, results, layout, per_key)
    return results


def _grow(stage: Stage, plan: Plan, results: Results, layout: str, per_key: int) -> None:
    shares = []
    for count in plan.pick(_COUNTS, (100, 1_000)):
        beats, held = asyncio.run(_hold(stage, layout, count, per_key))
        share = [seconds / Settings().heartbeat_seconds * 100 for seconds in beats]
        about = f"{count} leases, {per_key} per key, {layout}"
        target = at_most(2.0) if count <= _COUNTS[1] else None
        figure = spread(NAME, f"heartbeat, {about}", "% of a core", share, target=target)
        results.figures += [figure, _memory(about, held / count)]
        shares.append((count, figure.value))
    line = f"{per_key} per key, {layout}"
    results.series.append(Series("heartbeat", line, "leases held by one worker", "% of a core", shares))
    results.figures.append(_linear(line, shares))


def _memory(about: str, size: float) -> Figure:
    return one(NAME, f"memory per lease, {about}", "B", size, target=at_most(_KIBIBYTE))


def _linear(line: str, shares: list[tuple[float, float]]) -> Figure:
    """Return by how much the cost of a lease grows from the fewest to the most leases; 1 is linear growth."""
    (fewest, first), (most, last) = shares[0], shares[-1]
    # What a beat costs with few leases is known to a tenth at best.
    return one(
        NAME,
        f"cost of a lease at {most} over at {fewest}, {line}",
        "times",
        last / most / (first / fewest),
        target=Target("<=", 1.1),
    )


async def _hold(stage: Stage, layout: str, count: int, per_key: int) -> tuple[list[float], int]:
    """Return the CPU seconds of some beats, and the bytes that the leases take."""
    names = [f"api_key:{number // per_key:064x}" for number in range(count)]
    async with slots.client(stage) as connected:
        book = slots.ledger(connected, layout)
        tracemalloc.start()
        holders = slots.Holders(book, names)
        await asyncio.sleep(0)
        before = _in_use()
        await holders.admit()
        size = _in_use() - before
        tracemalloc.stop()
        beats = [await _beat(book) for _ in range(5)]
        await holders.let_go()
    return beats, size


async def _beat(book: Ledger) -> float:
    began = time.process_time()
    await book.renew()
    if book.outage.on:
        raise RuntimeError("a beat got no answer in time")
    return time.process_time() - began


def _in_use() -> int:
    gc.collect()
    return tracemalloc.get_traced_memory()[0]
