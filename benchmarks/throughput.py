"""Requests a second, time to the first token and CPU time of the proxy, without and with the guard."""

from __future__ import annotations

import time
from collections import defaultdict
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from benchmarks.figures import Figure, one, percentile, ratio
from benchmarks.load import Job, Load, play, run, secrets_of
from benchmarks.stage import cpu_of
from benchmarks.windows import THROWN, Windows
from tests.harness.provider.script import Script

if TYPE_CHECKING:
    from benchmarks.stage import Plan, Stage
    from tests.harness.proxy import Proxy
    from tests.harness.versions import Version

NAME = "throughput"
CLIENTS = 64
CHUNKS = 50
_LONG = 2000
_QUICK_SECONDS = 40
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

    @property
    def warms(self) -> bool:
        """Whether it is played before it is measured; the long streams come after others, and are too few for a p99."""
        return self.chunks < _LONG

    def job(self, proxy: Proxy, requests: int) -> Job:
        script = Script("bench", chunks=self.chunks or 4)
        return Job(proxy.url, str(script), secrets_of(_KEYS), self.clients, requests, self.chunks)


def _kinds(plan: Plan) -> tuple[_Kind, ...]:
    kinds = (
        _Kind("plain", CLIENTS, plan.pick(480, 128)),
        _Kind(f"streamed, {CHUNKS} chunks", CLIENTS, plan.pick(192, 64), CHUNKS),
        _Kind(f"streamed, {_LONG} chunks", 2, plan.pick(6, 2), _LONG),
        _Kind("one client alone", 1, 120, CHUNKS),
    )
    return kinds[:-1] if plan.quick else kinds


def measure(stage: Stage, version: Version, plan: Plan) -> list[Figure]:
    """Return the ratios of one LiteLLM version."""
    pairs: dict[str, list[tuple[float, float]]] = defaultdict(list)
    outages, windows = 0, (Windows(), Windows())
    for start in plan.anew(_QUICK_SECONDS):
        with stage.both(version, noise=plan.noise) as (bare, guarded):
            for kind in _kinds(plan):
                for proxy in (bare, guarded) if kind.warms else ():
                    run(kind.job(proxy, kind.requests // 2))
                for turn in range(plan.rounds):
                    first, second = _one_pair(kind, windows, (bare, guarded), guard_first=bool((start + turn) % 2))
                    for name, value in first.items():
                        pairs[name].append((value, second[name]))
            outages += guarded.text().count(_OUTAGE)
    # Such a time costs no Redis at all, and is no measure of the guard.
    away = one(NAME, "times the guard took Redis for away", "", outages, version=str(version))
    ratios = [ratio(NAME, name, found, per_start=plan.rounds, version=str(version)) for name, found in pairs.items()]
    thrown = one(NAME, THROWN, "", windows[1].thrown, version=str(version), bare=windows[0].thrown)
    return [*ratios, away, thrown]


Told = dict[str, float]


@dataclass(frozen=True)
class _Window:
    failed: int
    told: Told


def _one_pair(
    kind: _Kind, windows: tuple[Windows, Windows], proxies: tuple[Proxy, Proxy], *, guard_first: bool
) -> tuple[Told, Told]:
    """Return what bare and guarded did; whatever else the machine does at the time meets both."""
    told: dict[int, Told] = {}
    for side in (1, 0) if guard_first else (0, 1):
        told[side] = windows[side].untroubled(partial(_load, kind, proxies[side])).told
    return told[0], told[1]


def _load(kind: _Kind, proxy: Proxy) -> _Window:
    before = cpu_of(proxy)
    load = play(kind.job(proxy, kind.requests))
    time.sleep(_AFTERMATH_SECONDS)
    return _Window(load.failed, {} if load.failed else _told(kind, load, cpu_of(proxy) - before))


def _told(kind: _Kind, load: Load, cpu: float) -> Told:
    told = {f"CPU ms of the proxy per request, {kind.name}": cpu / load.requests * 1000}
    if kind.clients > 1:
        told[f"requests/s, {kind.name}"] = load.requests / load.seconds
    if kind.chunks and kind.warms:
        told[f"time to first token, median (ms), {kind.name}"] = percentile(load.first, 50) * 1000
        told[f"time to first token, p99 (ms), {kind.name}"] = percentile(load.first, 99) * 1000
    return told
