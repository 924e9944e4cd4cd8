"""The line over thousands of schedules: never above the cap, nobody forgotten, no slot idle while somebody waits.

In each of them nobody is overtaken in his class, nor by another class for more than its turns: see `history`.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pytest

from litellm_cancel_guard.gauge import line
from litellm_cancel_guard.gauge.line import CLAIM_SECONDS
from litellm_cancel_guard.lease.lease import turns_of
from litellm_cancel_guard.ledger.line import LOOK_SECONDS
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
BATCHES = 10
LIMIT = 3
LEASE = SETTINGS.lease_seconds
PATIENCE = 40.0
# Of the four agents, in a round.
TURNS = [(1, 1, 1, 1), (1, 2, 1, 1), (1, 4, 1, 16), (3, 3, 3, 3)]
# A look a second, which finds what nobody has claimed; and the round trips.
IDLE_AT_MOST = LOOK_SECONDS + 0.5


@pytest.fixture(params=part(range(BATCHES), 0))
def simulations(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Callable[[int], Iterator[Simulation]]:
    """Simulations of so many workers with a line, one for each seed of this batch."""
    return partial(lined, range(request.param * SCHEDULES, (request.param + 1) * SCHEDULES), monkeypatch)


def lined(seeds: range, monkeypatch: pytest.MonkeyPatch, workers: int) -> Iterator[Simulation]:
    """Simulations of so many workers with a line, one for each seed."""
    for sim in by_seed(seeds, monkeypatch, workers):
        sim.patience = PATIENCE
        # Of the four classes, some are one where fewer are kept apart.
        monkeypatch.setattr(line, "MOST_CLASSES", sim.chance.choice([2, 3, 256]))
        sim.turns = sim.chance.choice(TURNS)
        yield sim


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
        assert set(sim.redis.effective_releases.values()) == {1}


def test_the_cap_holds_and_nobody_is_forgotten_whoever_is_killed(
    simulations: Callable[[int], Iterator[Simulation]],
) -> None:
    for sim in simulations(4):
        sim.clients(sim.world.now + 30, LIMIT)
        kill_two(sim)
        settle(sim)
        assert (sim.most_flying <= LIMIT, sim.redis.most <= LIMIT) == (True, True)


def test_a_fan_out_has_the_share_of_its_agents_turns(simulations: Callable[[int], Iterator[Simulation]]) -> None:
    for sim in simulations(3):
        sim.patience = 400.0
        # More turns than these make a round longer than it is looked at.
        sim.turns = sim.chance.choice([(1, 1, 1, 1), (1, 3, 1, 1)])

        def ask(of: int, times: int, sim: Simulation = sim) -> None:
            for _ in range(times):
                sim.chance.choice(sim.workers).serve(KEY, LIMIT, 1, None, of=of)

        ask(0, 50)
        for of in (1, 2, 3):
            sim.world.after(1, partial(ask, of, 10 * sim.turns[of]))
        sim.world.run_until(sim.world.now + 2)
        handed = sim.redis.lines[KEY].history.handed
        before = handed.copy()
        sim.world.run_until(sim.world.now + 6)
        shares = [handed[of] - before[of] for of in handed]
        rounds = [share / turns_of(of) for of, share in zip(handed, shares, strict=True)]
        assert (len(shares) >= 3, max(rounds) - min(rounds) <= 1, sum(shares) >= 6 * LIMIT - 3) == (True, True, True)
        settle(sim)
        assert sim.admitted == 50 + 10 * sum(sim.turns[1:])


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
        make_the_network_bad(sim)
        sim.clients(sim.world.now + 30, LIMIT)
        mend_the_network(sim)
        settle(sim)


def test_the_cap_holds_where_event_loops_stand_still(simulations: Callable[[int], Iterator[Simulation]]) -> None:
    for sim in simulations(3):
        sim.clients(sim.world.now + 30, LIMIT)
        have_loops_stand_still(sim, 3 * CLAIM_SECONDS, within=25)
        settle(sim)
        assert sim.redis.most <= LIMIT


def test_after_an_outage_of_any_kind_nobody_is_left_in_line(
    simulations: Callable[[int], Iterator[Simulation]],
) -> None:
    for sim in simulations(3):
        sim.clients(sim.world.now + 30, LIMIT)
        have_redis_away(sim)
        settle(sim)
