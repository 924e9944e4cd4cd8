"""What an acquire and a release cost in Redis itself, by the number of keys, and by the slots of one key."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

from benchmarks import slots
from benchmarks.figures import Results, Series, one
from litellm_cancel_guard.lease.lease import Lease

if TYPE_CHECKING:
    from benchmarks.stage import Plan, Stage

NAME = "growth"
_SIZES = (10, 100, 1_000, 10_000, 100_000)
_QUICK_SIZES = (10, 1_000)
_LIMIT = 1_000_000


def measure(stage: Stage, plan: Plan) -> Results:
    """Return how much dearer the largest is than the smallest, and the curves between them."""
    sizes, calls = plan.pick(_SIZES, _QUICK_SIZES), plan.pick(1_000, 300)
    smallest, largest = sizes[0], sizes[-1]
    results = Results()
    for layout in slots.LAYOUTS:
        for what, keys in (("keys", True), ("slots of one key", False)):
            found = [_least_cost(stage, layout, size, calls, many_keys=keys) for size in sizes]
            for step, costs in zip(("acquire", "release"), zip(*found, strict=True), strict=True):
                line = f"{step}, {layout}"
                points = list(zip(map(float, sizes), costs, strict=True))
                results.series.append(Series(f"redis-{what.replace(' ', '-')}", line, what, "µs in Redis", points))
                results.figures += [
                    one(NAME, f"{line}: in Redis at {largest} {what}", "µs", costs[-1], samples=calls),
                    one(
                        NAME,
                        f"{line}: at {largest} {what} over at {smallest}",
                        "times",
                        costs[-1] / costs[0],
                    ),
                ]
    return results


def _least_cost(stage: Stage, layout: str, size: int, calls: int, *, many_keys: bool) -> tuple[float, float]:
    """Return the least of five: what else the machine does can only make a script slower."""
    acquires, releases = zip(
        *(asyncio.run(_cost(stage, layout, size, calls, many_keys=many_keys)) for _ in range(5)), strict=True
    )
    return min(acquires), min(releases)


async def _cost(stage: Stage, layout: str, size: int, calls: int, *, many_keys: bool) -> tuple[float, float]:
    """Return the microseconds of an acquire and of a release, as Redis' own statistics have them."""
    async with slots.client(stage) as connected:
        names = [f"api_key:{number:064x}" for number in range(size if many_keys else 1)]
        await _fill(connected, layout, names, 1 if many_keys else size)
        gauge = slots.gauge(connected, layout)
        leases = [Lease(names[number * 7919 % len(names)]) for number in range(calls)]
        await gauge.release((await _acquired(gauge, leases[:1]))[0])
        await connected.config_resetstat()
        await _acquired(gauge, leases)
        acquire = await _microseconds(connected)
        await connected.config_resetstat()
        for lease in leases:
            await gauge.release(lease)
        return acquire, await _microseconds(connected)


async def _acquired(gauge: Any, leases: list[Lease]) -> list[Lease]:
    for lease in leases:
        assert (await gauge.acquire(lease, _LIMIT)).admitted
    return leases


async def _microseconds(connected: Any) -> float:
    stats = await connected.info("commandstats")
    return float(stats["cmdstat_evalsha"]["usec_per_call"])


async def _fill(connected: Any, layout: str, names: list[str], slots_each: int) -> None:
    """Write slots that are held for an hour, in the form of the layout."""
    form = slots.LAYOUTS[layout]
    lapses_at = time.time() + 3600 - form.horizon_seconds
    async with connected.pipeline(transaction=False) as pipe:
        for number, name in enumerate(names):
            key = form.keys_of(name)[0]
            for start in range(0, slots_each, 1000):
                several = range(start, min(start + 1000, slots_each))
                pipe.zadd(key, {f"{slot:032x}": lapses_at for slot in several})
            if number % 1000 == 0:
                await pipe.execute()
        await pipe.execute()
