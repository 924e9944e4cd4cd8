"""Simulations by their seeds, and what befalls them while their clients come and go."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from tests.simulation.workers import SETTINGS, Simulation

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pytest


def by_seed(seeds: range, monkeypatch: pytest.MonkeyPatch, workers: int) -> Iterator[Simulation]:
    """Simulations of so many workers; the last seed that pytest shows is that of a failure."""
    monkeypatch.setattr(logging.getLogger("LiteLLM Proxy"), "disabled", True)
    for seed in seeds:
        # What a test raises does not come here: a generator is only closed then.
        print(f"seed {seed}")
        sim = Simulation(seed, monkeypatch, workers)
        try:
            yield sim
        finally:
            sim.world.close()


def kill_two(sim: Simulation) -> None:
    for worker in sim.workers[:2]:
        sim.world.after(sim.chance.uniform(1, 30), worker.kill)


def make_the_network_bad(sim: Simulation) -> None:
    sim.network.lost = sim.chance.choice([10, 100, 300])
    sim.network.latency = sim.chance.choice([0.001, 0.05, 0.3])


def mend_the_network(sim: Simulation) -> None:
    """After 35 seconds."""
    sim.world.after(35, lambda: setattr(sim.network, "lost", 0))
    sim.world.after(35, lambda: setattr(sim.network, "latency", 0.002))


def have_loops_stand_still(sim: Simulation, longest: float, *, within: float) -> None:
    for worker in sim.workers:
        seconds = sim.chance.uniform(0.1, longest)
        sim.world.after(sim.chance.uniform(1, within), lambda w=worker, s=seconds: w.stand_still(s))  # type: ignore[misc]


def have_redis_away(sim: Simulation) -> float:
    """For a moment or for longer than a lease, and perhaps empty then; returns when it is back."""
    begins = sim.world.now + sim.chance.uniform(2, 10)
    ends = begins + sim.chance.choice([0.3, 2, 3 * SETTINGS.lease_seconds])
    sim.world.at(begins, lambda: setattr(sim.redis, "paused_until", ends))
    if sim.chance.random() < 0.5:
        sim.world.at(ends, sim.redis.flush)
    return ends
