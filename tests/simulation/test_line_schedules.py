"""The line over thousands of schedules: never above the cap, nobody forgotten, no slot idle while somebody waits."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest

from litellm_cancel_guard.gauge.line import CLAIM_SECONDS
from litellm_cancel_guard.ledger.line import LOOK_SECONDS
from tests.simulation.workers import KEY, SETTINGS, Simulation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SCHEDULES = 25
BATCHES = 4
LIMIT = 3
LEASE = SETTINGS.lease_seconds
PATIENCE = 40.0
# A look a second, which finds what nobody has claimed; and the round trips.
IDLE_AT_MOST = LOOK_SECONDS + 0.5


@pytest.fixture(params=range(BATCHES))
def simulations(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Callable[[int], Iterator[Simulation]]:
    """Simulations of so many workers with a line, one for each seed of this batch."""
    monkeypatch.setattr(logging.getLogger("LiteLLM Proxy"), "disabled", True)

    def run(workers: int) -> Iterator[Simulation]:
        for seed in range(request.param * SCHEDULES, (request.param + 1) * SCHEDULES):
            sim = Simulation(seed, monkeypatch, workers)
            sim.patience = PATIENCE
            try:
                yield sim
            except BaseException as error:
                error.args = (f"seed {seed}: {error}",)
                raise
            finally:
                sim.world.close()

    return run


def settle(sim: Simulation) -> None:
    sim.world.run_until(sim.world.now + 40 + PATIENCE + 2 * LEASE)
    assert sim.admitted > 0
    sim.check_rest()


def watch_idleness(sim: Simulation, until: float) -> list[float]:
    """How long, at each tenth of a second, a slot had been free although somebody waited."""
    seen, since = [0.0], [0.0]

    def look() -> None:
        since[0] = since[0] + 0.1 if sim.redis.idle(KEY) else 0.0
        seen.append(since[0])
        if sim.world.now < until:
            sim.world.after(0.1, look)

    look()
    return seen


def test_nobody_is_refused_who_has_time_and_the_cap_holds(simulations: Callable[[int], Iterator[Simulation]]) -> None:
    for sim in simulations(3):
        sim.clients(sim.world.now + 20, LIMIT)
        idle = watch_idleness(sim, sim.world.now + 60)
        settle(sim)
        assert (sim.refused[KEY], sim.most_flying, sim.redis.most) == (0, LIMIT, LIMIT)
        assert max(idle) <= 0.2


def test_the_cap_holds_and_nobody_is_forgotten_whoever_is_killed(
    simulations: Callable[[int], Iterator[Simulation]],
) -> None:
    for sim in simulations(4):
        sim.clients(sim.world.now + 30, LIMIT)
        for worker in sim.workers[:2]:
            sim.world.after(sim.chance.uniform(1, 30), worker.kill)
        settle(sim)
        assert (sim.most_flying <= LIMIT, sim.redis.most <= LIMIT) == (True, True)


def test_lost_messages_cost_a_look_and_no_slot(simulations: Callable[[int], Iterator[Simulation]]) -> None:
    for sim in simulations(3):
        for worker in sim.workers:
            gauge = worker.ledger.gauge
            told = gauge.tell  # type: ignore[attr-defined]
            gauge.tell = lambda name, t=told, s=sim: s.chance.random() < 0.5 and t(name)  # type: ignore[attr-defined]
        sim.clients(sim.world.now + 20, LIMIT)
        idle = watch_idleness(sim, sim.world.now + 60)
        settle(sim)
        assert (sim.refused[KEY], sim.most_flying <= LIMIT) == (0, True)
        assert max(idle) <= IDLE_AT_MOST


def test_nothing_is_lost_when_messages_of_any_kind_are(simulations: Callable[[int], Iterator[Simulation]]) -> None:
    for sim in simulations(3):
        sim.network.lost = sim.chance.choice([10, 100, 300])
        sim.network.latency = sim.chance.choice([0.001, 0.05, 0.3])
        sim.clients(sim.world.now + 30, LIMIT)
        sim.world.after(35, lambda s=sim: setattr(s.network, "lost", 0))  # type: ignore[misc]
        sim.world.after(35, lambda s=sim: setattr(s.network, "latency", 0.002))  # type: ignore[misc]
        settle(sim)


def test_the_cap_holds_where_event_loops_stand_still(simulations: Callable[[int], Iterator[Simulation]]) -> None:
    for sim in simulations(3):
        sim.clients(sim.world.now + 30, LIMIT)
        for worker in sim.workers:
            seconds = sim.chance.uniform(0.1, 3 * CLAIM_SECONDS)
            sim.world.after(sim.chance.uniform(1, 25), lambda w=worker, s=seconds: w.stand_still(s))  # type: ignore[misc]
        settle(sim)
        assert sim.redis.most <= LIMIT


def test_after_an_outage_of_any_kind_nobody_is_left_in_line(
    simulations: Callable[[int], Iterator[Simulation]],
) -> None:
    for sim in simulations(3):
        sim.clients(sim.world.now + 30, LIMIT)
        begins = sim.world.now + sim.chance.uniform(2, 10)
        ends = begins + sim.chance.choice([0.3, 2, 3 * LEASE])
        sim.world.at(begins, lambda s=sim, e=ends: setattr(s.redis, "paused_until", e))  # type: ignore[misc]
        if sim.chance.random() < 0.5:
            sim.world.at(ends, sim.redis.flush)
        settle(sim)
