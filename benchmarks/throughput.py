"""Requests a second, time to the first token and CPU time of the proxy, without and with the guard."""

from __future__ import annotations

import time
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks.figures import Figure, Target, at_least, at_most, one, percentile, ratio
from benchmarks.load import Job, run, secrets_of
from benchmarks.stage import cpu_of
from tests.harness.provider.script import Script

if TYPE_CHECKING:
    from benchmarks.stage import Plan, Stage
    from tests.harness.proxy import Proxy
    from tests.harness.versions import Version

NAME = "throughput"
CLIENTS = 64
CHUNKS = 50
_KEYS = 8
# What LiteLLM still does for a request after its answer; it belongs to the request's CPU time.
_AFTERMATH_SECONDS = 0.5
# What the guard logs when Redis, or its own event loop, did not answer in time.
_OUTAGE = "cannot count slots in Redis"


@dataclass(frozen=True)
class _Kind:
    """One kind of load.

    Attributes:
        chunks: of each stream; 0 for plain answers.
    """

    name: str
    clients: int
    requests: int
    chunks: int = 0

    def job(self, proxy: Proxy, requests: int) -> Job:
        script = Script("bench", chunks=self.chunks or 4)
        return Job(proxy.url, str(script), secrets_of(_KEYS), self.clients, requests, self.chunks)


def _kinds(plan: Plan) -> tuple[_Kind, ...]:
    return (
        _Kind("plain", CLIENTS, plan.pick(480, 128)),
        _Kind(f"streamed, {CHUNKS} chunks", CLIENTS, plan.pick(192, 64), CHUNKS),
        _Kind("one client alone", 1, plan.pick(120, 20), CHUNKS),
    )


def measure(stage: Stage, version: Version, plan: Plan) -> list[Figure]:
    """Return the ratios of one LiteLLM version."""
    pairs: dict[str, list[tuple[float, float]]] = defaultdict(list)
    outages = 0
    for _ in range(plan.starts):
        with stage.both(version, noise=plan.noise) as (bare, guarded):
            for kind in _kinds(plan):
                for proxy in (bare, guarded):
                    run(kind.job(proxy, kind.requests // 2))
                for turn in range(plan.rounds):
                    first, second = _one_pair(kind, bare, guarded, guard_first=bool(turn % 2))
                    for name, value in first.items():
                        pairs[name].append((value, second[name]))
            outages += guarded.text().count(_OUTAGE)
    # Such a time costs no Redis at all, and is no measure of the guard.
    away = one(NAME, "times the guard took Redis for away", "", outages, version=str(version), target=at_most(0))
    ratios = [ratio(NAME, name, found, version=str(version), target=_target(name)) for name, found in pairs.items()]
    return [*ratios, away]


Told = dict[str, float]


def _one_pair(kind: _Kind, bare: Proxy, guarded: Proxy, *, guard_first: bool) -> tuple[Told, Told]:
    """Return what bare and guarded did; whatever else the machine does at the time meets both."""
    if guard_first:
        second, first = _load(kind, guarded), _load(kind, bare)
    else:
        first, second = _load(kind, bare), _load(kind, guarded)
    return first, second


def _load(kind: _Kind, proxy: Proxy) -> Told:
    before = cpu_of(proxy)
    load = run(kind.job(proxy, kind.requests))
    time.sleep(_AFTERMATH_SECONDS)
    told = {f"CPU ms of the proxy per request, {kind.name}": (cpu_of(proxy) - before) / load.requests * 1000}
    if kind.clients > 1:
        told[f"requests/s, {kind.name}"] = load.requests / load.seconds
    if kind.chunks:
        told[f"time to first token, median (ms), {kind.name}"] = percentile(load.first, 50) * 1000
        told[f"time to first token, p99 (ms), {kind.name}"] = percentile(load.first, 99) * 1000
    return told


def _target(name: str) -> Target:
    return at_least(0.98) if name.startswith("requests/s") else at_most(1.02)
