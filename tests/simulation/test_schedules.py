"""Promises 1 and 2 of the design over thousands of schedules; a failure names its seed, which repeats it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pytest

from tests.harness.tables import part
from tests.simulation.schedules import (
    by_seed,
    have_loops_stand_still,
    have_redis_away,
    kill_two,
    make_the_network_bad,
    mend_the_network,
)
from tests.simulation.workers import KEY, SETTINGS, Simulation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SCHEDULES = 10
BATCHES = 40
LIMIT = 3
LEASE = SETTINGS.lease_seconds


@pytest.fixture(params=part(range(BATCHES), 0))
def simulations(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Callable[[int], Iterator[Simulation]]:
    """Simulations of so many workers, one for each seed of this batch."""
    seeds = range(request.param * SCHEDULES, (request.param + 1) * SCHEDULES)
    return partial(by_seed, seeds, monkeypatch)


def settle(sim: Simulation, seconds: float = 30) -> None:
    sim.world.run_until(sim.world.now + seconds + 2 * LEASE)
    assert sim.admitted > 0
    sim.check_rest()


def test_the_cap_holds_whoever_leaves_and_whoever_is_killed(simulations: Callable[[int], Iterator[Simulation]]) -> None:
    for sim in simulations(4):
        sim.clients(sim.world.now + 30, LIMIT)
        kill_two(sim)
        settle(sim)
        assert (sim.most_flying <= LIMIT, sim.redis.most <= LIMIT) == (True, True)
        assert set(sim.redis.effective_releases.values()) <= {1}


def test_one_request_after_another_is_never_refused(simulations: Callable[[int], Iterator[Simulation]]) -> None:
    for sim in simulations(3):
        for number, worker in enumerate(sim.workers):
            worker.loop.create_task(worker.one_after_another(f"api_key:{number}", 20))
        sim.clients(sim.world.now + 10, LIMIT)
        settle(sim)
        assert [sim.refused[f"api_key:{number}"] for number in range(3)] == [0, 0, 0]


def test_the_cap_holds_where_event_loops_stand_still(simulations: Callable[[int], Iterator[Simulation]]) -> None:
    """Requests that run on without their slot are said to be so, and are the only ones that the count misses."""
    for sim in simulations(3):
        sim.clients(sim.world.now + 40, LIMIT)
        have_loops_stand_still(sim, 3 * LEASE, within=30)
        settle(sim, 60)
        assert sim.redis.most <= LIMIT


def test_nothing_is_lost_when_messages_are(simulations: Callable[[int], Iterator[Simulation]]) -> None:
    """An acquire that was repeated may arrive after the release, and take the slot again: it is given back again."""
    for sim in simulations(3):
        make_the_network_bad(sim)
        sim.clients(sim.world.now + 30, LIMIT)
        mend_the_network(sim)
        settle(sim, 60)
        assert all(sim.redis.takes[lease] >= given for lease, given in sim.redis.effective_releases.items())


def test_after_an_outage_of_any_kind_the_count_is_right_within_a_beat(
    simulations: Callable[[int], Iterator[Simulation]],
) -> None:
    for sim in simulations(3):
        sim.clients(sim.world.now + 60, LIMIT)
        ends = have_redis_away(sim)
        sim.world.run_until(ends + SETTINGS.heartbeat_seconds + SETTINGS.redis_timeout + 0.5)
        asking = {lease for worker in sim.workers for lease in worker.ledger._renewals.asking}
        missing = sim.held() - asking - set(sim.redis.live(KEY))
        assert missing == set()
        settle(sim, 60)
