"""Latencies as users meet them: requests arrive at a fixed rate, and each counts from when it should have begun."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from functools import partial
from statistics import median
from typing import TYPE_CHECKING

from benchmarks.figures import Figure, one, percentile, ratio
from benchmarks.load import Job, run, secrets_of
from benchmarks.open_loop import Arrivals, Arrived, play
from benchmarks.stage import memory
from benchmarks.windows import THROWN, Windows
from tests.harness.provider.script import Script

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.stage import Plan, Stage
    from tests.harness.proxy import Proxy
    from tests.harness.versions import Version

NAME = "arrivals"
# Of what LiteLLM alone does at its most: below the rate at which a line grows for as long as the window lasts.
_SHARE = 0.6
_KEYS, _CLIENTS, _CHUNKS = 8, 32, 50
_QUICK_SECONDS = 35
_SIDES = ("bare", "guarded")


@dataclass(frozen=True)
class _Kind:
    name: str
    chunks: int

    @property
    def script(self) -> str:
        return str(Script("arrivals", chunks=self.chunks or 4))

    def told(self, arrived: Arrived) -> dict[str, float]:
        """Return what a window says, in milliseconds."""
        what, seconds = ("first token", arrived.first) if self.chunks else ("answer", arrived.whole)
        return {f"{what}, {name} (ms), {self.name}": percentile(seconds, part) * 1000 for name, part in _PARTS}


_PARTS = (("median", 50), ("p99", 99))
_KINDS = (_Kind("plain", 0), _Kind(f"streamed, {_CHUNKS} chunks", _CHUNKS))


@dataclass
class _Seen:
    """What was seen of all starts.

    Attributes:
        rates: arrivals per second of each kind, the same for all.
        pairs: of bare and guarded, by the name of the figure.
        floor: the same load straight at the provider.
    """

    rates: dict[_Kind, float] = field(default_factory=dict)
    pairs: dict[str, list[tuple[float, float]]] = field(default_factory=partial(defaultdict, list))
    floor: dict[str, list[float]] = field(default_factory=partial(defaultdict, list))
    memory: list[tuple[float, float]] = field(default_factory=list)
    windows: dict[str, Windows] = field(default_factory=lambda: {side: Windows() for side in _SIDES})


def measure(stage: Stage, version: Version, plan: Plan) -> list[Figure]:
    """Return the latencies of one LiteLLM version over LiteLLM's own, at the same arrivals."""
    seen, seconds = _Seen(), plan.pick(6.0, 2.0)
    for start in plan.anew(_QUICK_SECONDS):
        with stage.both(version, noise=plan.noise) as proxies:
            for kind in _KINDS:
                if kind not in seen.rates:
                    seen.rates[kind] = _SHARE * _most(kind, proxies[0])
                _warm(kind, proxies)
                for turn in range(plan.rounds):
                    _round(stage, seen, kind, proxies, (seconds, (start + turn) % 2))
            seen.memory.append((memory(proxies[0]) / 2**20, memory(proxies[1]) / 2**20))
    return _figures(str(version), plan, seen)


def _most(kind: _Kind, proxy: Proxy) -> float:
    """Return how many requests a second clients get that ask again at once."""
    requests = 4 * _CLIENTS
    run(Job(proxy.url, kind.script, secrets_of(_KEYS), _CLIENTS, _CLIENTS, kind.chunks))
    load = run(Job(proxy.url, kind.script, secrets_of(_KEYS), _CLIENTS, requests, kind.chunks))
    return load.requests / load.seconds


def _warm(kind: _Kind, proxies: tuple[Proxy, Proxy]) -> None:
    for proxy in proxies:
        run(Job(proxy.url, kind.script, secrets_of(_KEYS), _CLIENTS, _CLIENTS, kind.chunks))


def _round(stage: Stage, seen: _Seen, kind: _Kind, proxies: tuple[Proxy, Proxy], how: tuple[float, int]) -> None:
    """One window of each, those of the proxies one after another in turns."""
    seconds, guard_first = how

    def window(url: str) -> Callable[[], Arrived]:
        return lambda: play(Arrivals(url, kind.script, secrets_of(_KEYS), seen.rates[kind], seconds, kind.chunks))

    told = {}
    order = list(zip(_SIDES, proxies, strict=True))
    for side, proxy in reversed(order) if guard_first else order:
        told[side] = kind.told(seen.windows[side].untroubled(window(proxy.url)))
    for name, value in kind.told(Windows().untroubled(window(stage.provider.url))).items():
        seen.floor[name].append(value)
        seen.pairs[name].append((told["bare"][name], told["guarded"][name]))


def _figures(version: str, plan: Plan, seen: _Seen) -> list[Figure]:
    thrown = {side: windows.thrown for side, windows in seen.windows.items()}
    rates = [
        one(NAME, f"arrivals per second, {kind.name}", "", rate, version=version) for kind, rate in seen.rates.items()
    ]
    latencies = [
        ratio(NAME, name, pairs, per_start=plan.rounds, version=version, floor=median(seen.floor[name]))
        for name, pairs in seen.pairs.items()
    ]
    return [
        *rates,
        *latencies,
        ratio(NAME, "memory of the proxy after the load (MiB)", seen.memory, version=version),
        one(NAME, THROWN, "", thrown["guarded"], version=version, bare=thrown["bare"]),
    ]
