"""What one worker pays for the leases it holds: CPU time of its heartbeat, at once and in all, and memory."""

from __future__ import annotations

import asyncio
import gc
import math
import time
import tracemalloc
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from benchmarks import slots
from benchmarks.figures import Figure, Results, Series, one, spread
from benchmarks.machine import cpu_seconds, pinned
from litellm_cancel_guard.settings import Settings

if TYPE_CHECKING:
    from benchmarks.stage import Plan, Stage
    from litellm_cancel_guard.ledger.ledger import Ledger

NAME = "leases"
_COUNTS = (1_000, 10_000, 50_000)
_PER_KEY = (1, 10)
_BEATS = 5
_OPENERS = 100


def measure(stage: Stage, plan: Plan) -> Results:
    """Return the heartbeat's share of a core and the bytes of a lease, for leases of few keys and of many."""
    results, per_keys = Results(), plan.pick(_PER_KEY, _PER_KEY[:1])
    with pinned(stage.cores.measured):
        for layout in slots.LAYOUTS:
            for per_key in per_keys:
                _grow(stage, plan, results, layout, per_key)
        for per_key in per_keys:
            results.figures += [_memory(stage, count, per_key) for count in plan.pick(_COUNTS[:2], _COUNTS[:1])]
    return results


@dataclass(frozen=True)
class _Beats:
    """What so many leases cost.

    Attributes:
        here: CPU seconds of this process for one beat, of several.
        longest: CPU seconds of the longest turn of the event loop during one, of several.
        in_redis: CPU seconds of redis-server for one.
        redis_memory: bytes in Redis for all leases.
    """

    here: list[float]
    longest: list[float]
    in_redis: float
    redis_memory: int


def _grow(stage: Stage, plan: Plan, results: Results, layout: str, per_key: int) -> None:
    shares = []
    for count in plan.pick(_COUNTS, _COUNTS[:2]):
        beats = asyncio.run(_beats(stage, layout, _names(count, per_key)))
        figures = _figures(beats, count, f"{count} leases, {per_key} per key, {layout}")
        results.figures += figures
        shares.append((float(count), figures[0].value))
    line = f"{per_key} per key, {layout}"
    results.series.append(Series("heartbeat", line, "leases held by one worker", "% of a core", shares))
    results.figures.append(_linear(line, shares))


def _figures(beats: _Beats, count: int, about: str) -> list[Figure]:
    share = [seconds / Settings().heartbeat_seconds * 100 for seconds in beats.here]
    longest = [seconds * 1000 for seconds in beats.longest]
    return [
        spread(NAME, f"heartbeat, {about}", "% of a core", share),
        spread(NAME, f"longest turn of the event loop in a beat, {about}", "ms", longest),
        one(NAME, f"CPU of redis-server per lease renewed, {about}", "µs", beats.in_redis / count * 1e6),
        one(NAME, f"memory in Redis per lease, {about}", "B", beats.redis_memory / count),
    ]


def _memory(stage: Stage, count: int, per_key: int) -> Figure:
    size = asyncio.run(_held(stage, _names(count, per_key)))
    about = f"memory per lease, {count} leases, {per_key} per key"
    return one(NAME, about, "B", size / count)


def _names(count: int, per_key: int) -> list[str]:
    return [f"api_key:{number // per_key:064x}" for number in range(count)]


def _linear(line: str, shares: list[tuple[float, float]]) -> Figure:
    """Return the power of the number of leases that the heartbeat's cost grows with; 1 is linear."""
    (fewest, first), (most, last) = shares[0], shares[-1]
    power = math.log(last / first) / math.log(most / fewest)
    # What a beat costs with few leases is known to a tenth at best.
    about = f"heartbeat from {fewest:.0f} to {most:.0f} leases grows with the power of, {line}"
    return one(NAME, about, "", power)


async def _beats(stage: Stage, layout: str, names: list[str]) -> _Beats:
    async with slots.client(stage) as connected:
        book = slots.ledger(connected, layout)
        # The first INFO and the first FLUSHDB take memory that Redis keeps.
        await _freed(connected)
        await slots.hold_at_once(book, connected, layout, names)
        await book.renew()
        cpu = cpu_seconds(stage.redis.pid)
        here = [await _beat(book) for _ in range(_BEATS)]
        in_redis = (cpu_seconds(stage.redis.pid) - cpu) / _BEATS
        longest = [await _longest_turn(book) for _ in range(_BEATS)]
        return _Beats(here, longest, in_redis, await _freed(connected))


async def _freed(connected: Any) -> int:
    """Return the bytes in Redis that its keys took.

    Taken before they are written and after, it would be less by what the connections' buffers shrink by in between:
    less than nothing, for a hundred leases.
    """
    full = (await connected.info("memory"))["used_memory"]
    await connected.flushdb()
    return int(full - (await connected.info("memory"))["used_memory"])


async def _beat(book: Ledger) -> float:
    began = time.process_time()
    await book.renew()
    if book.outage.on:
        raise RuntimeError("a beat got no answer in time")
    return time.process_time() - began


async def _longest_turn(book: Ledger) -> float:
    """Return the CPU seconds of the longest turn of the event loop during a beat: what a stream may wait for."""
    turns: list[float] = []

    async def turn() -> None:
        last = time.thread_time()
        while True:
            await asyncio.sleep(0)
            last, before = time.thread_time(), last
            turns.append(last - before)

    turning = asyncio.create_task(turn())
    await asyncio.sleep(0)
    await _beat(book)
    turning.cancel()
    return max(turns)


async def _held(stage: Stage, names: list[str]) -> int:
    """Return the bytes that a lease takes beside the request task, which is there without the guard too."""
    async with slots.client(stage) as connected:
        book = slots.ledger(connected, "slots")
        tracemalloc.start()
        # These open the connections of LiteLLM's pool: 250 kB, whatever the number of leases.
        openers = slots.Holders(book, [f"{name}:opens" for name in names[:_OPENERS]])
        await openers.admit()
        await openers.let_go()
        holders = slots.Holders(book, names)
        await asyncio.sleep(0)
        before = _in_use()
        await holders.admit()
        size = _in_use() - before
        tracemalloc.stop()
        await holders.let_go()
    return size


def _in_use() -> int:
    gc.collect()
    return tracemalloc.get_traced_memory()[0]
