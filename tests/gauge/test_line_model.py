"""The line in Redis against the same in memory, over schedules of any kind: who holds and who waits after each step."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING

import pytest
import redis.asyncio as aioredis

from litellm_cancel_guard.gauge import line
from litellm_cancel_guard.gauge.local import LocalGauge
from litellm_cancel_guard.lease.lease import Lease, Turn, class_of
from tests.gauge.stores import GAUGE, Store
from tests.harness.process import LOOPBACK

if TYPE_CHECKING:
    from litellm_cancel_guard.gauge import Gauge
    from tests.harness.redis_server import RedisServer

SCHEDULES = 90
NAMES = [f"0123456789ab.{n}" for n in range(12)]
# How many turns in a round each of four classes has.
WEIGHTS = [(1, 1, 1, 1), (1, 2, 1, 3), (2, 16, 1, 4)]

Step = tuple[Lease, int]


def leases_of(weights: tuple[int, ...]) -> list[Lease]:
    """Of so many classes."""
    classes = [class_of(n << 8, turns) for n, turns in enumerate(weights)]
    return [Lease(GAUGE, name, Turn(5, classes[n % len(classes)])) for n, name in enumerate(NAMES)]


def schedule(seed: int, leases: list[Lease]) -> list[Step]:
    """Leases that ask under a limit, or give back: 0."""
    chance = random.Random(seed)
    return [(chance.choice(leases), chance.choice([0, 0, 0, 1, 2, 2, 2, 3])) for _ in range(chance.randint(1, 60))]


async def play(gauge: Gauge, steps: list[Step]) -> list[object]:
    """What each step answered, and who waits and who holds after it."""
    seen: list[object] = []
    for lease, limit in steps:
        if limit:
            answer = await gauge.acquire(lease, limit)
            seen.append((answer.admitted, answer.in_flight, answer.place and answer.waiting))
        else:
            seen.append(await gauge.release(lease))
        waiting = set(NAMES) - await gauge.look(GAUGE, NAMES)
        every = leases_of((1,))
        held = set(every) - await gauge.renew(every)
        seen.append((sorted(waiting), sorted(lease.id for lease in held)))
    return seen


async def in_redis(layout: str, port: int, steps: list[Step]) -> list[object]:
    async with (
        aioredis.Redis(host=LOOPBACK, port=port) as client,
        aioredis.Redis(host=LOOPBACK, port=port, decode_responses=True) as witness,
    ):
        await witness.flushall()
        store = Store(client, witness)
        seen = await play(store.gauge(layout), steps)
        assert await store.eternal_keys() == []
        return seen


def test_redis_and_memory_never_differ(layout: str, gauge_redis: RedisServer, monkeypatch: pytest.MonkeyPatch) -> None:
    for seed in range(SCHEDULES):
        # There are four: of every other schedule as many as may, and else two of them are one.
        monkeypatch.setattr(line, "MOST_CLASSES", 256 if seed % 2 else 2)
        steps = schedule(seed, leases_of(WEIGHTS[seed % len(WEIGHTS)]))
        in_memory = asyncio.run(play(LocalGauge(), steps))
        assert asyncio.run(in_redis(layout, gauge_redis.port, steps)) == in_memory, f"seed {seed}"


@pytest.mark.more
async def test_a_waiter_of_ten_thousand_takes_less_than_a_kilobyte_and_a_hand_over_no_longer(real: Store) -> None:
    gauge = real.gauge()
    holder = leases_of((1,))[0]
    await gauge.acquire(holder, 1)
    before = (await real.witness.info("memory"))["used_memory"]
    leases = [Lease(GAUGE, f"0123456789ab.{n:012x}.acompletion", Turn(20000, f"{n % 50:016x}")) for n in range(10_000)]
    for lease in leases:
        await gauge.acquire(lease, 1)
    grown = (await real.witness.info("memory"))["used_memory"] - before
    await real.witness.config_resetstat()
    await gauge.release(holder)
    stats = await real.witness.info("commandstats")

    assert grown / len(leases) < 1000
    assert stats["cmdstat_evalsha"]["usec"] < 2000
    await real.witness.flushall()
