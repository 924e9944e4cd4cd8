"""What one request costs in Redis: round trips, commands sent, and commands run, those inside scripts included."""

from __future__ import annotations

import time
from collections import Counter
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from benchmarks.figures import Figure, one
from benchmarks.load import Job, run, secrets_of
from benchmarks.throughput import CLIENTS
from benchmarks.wire import CountingWire
from tests.harness.keys import fresh_key
from tests.harness.provider.script import Script

if TYPE_CHECKING:
    from benchmarks.stage import Plan, Stage
    from tests.harness.proxy import Proxy
    from tests.harness.versions import Version

NAME = "traffic"
_STREAM_CHUNKS = 10
# LiteLLM counts a request down, and writes down its success, after the answer.
_QUIET_SECONDS = 0.6
# Asked by ourselves, or at the opening of a connection.
_NOT_OF_REQUESTS = ("info", "config", "hello", "client", "ping", "auth", "select", "script")

_Keys = dict[str, dict[str, "int | None"]]
_QUICK_KEYS: _Keys = {"key with a cap": {"cap": 1000}}
_KEYS: _Keys = {
    **_QUICK_KEYS,
    "key with a cap and rpm": {"cap": 1000, "rpm": 100_000},
    "key without a cap": {"cap": None},
}


@dataclass
class _Counted:
    """For one request."""

    round_trips: float = 0.0
    sent: float = 0.0
    run: float = 0.0
    by_name: dict[str, float] = field(default_factory=dict)


def measure(stage: Stage, version: Version, plan: Plan) -> list[Figure]:
    """Return the figures of one LiteLLM version; requests follow one another, each ends by itself."""
    requests = plan.pick(100, 20)
    counted, connections = {}, {}
    with closing(CountingWire(stage.redis.port)) as wire:
        for guarded in (False, True):
            with stage.proxy(stage.setup(version, guarded=guarded), redis_port=wire.port) as proxy:
                counted[guarded] = _each(stage, wire, proxy, requests, plan.pick(_KEYS, _QUICK_KEYS))
                connections[guarded] = _connections(wire, proxy)
    figures = [
        figure
        for name, bare in counted[False].items()
        for figure in _figures(str(version), name, bare, counted[True][name], requests)
    ]
    about = f"Redis connections of a worker under {CLIENTS} clients"
    kept = {"bare": connections[False], "guarded": connections[True], "version": str(version)}
    return [*figures, one(NAME, about, "", connections[True], **kept)]


def _connections(wire: CountingWire, proxy: Proxy) -> int:
    """Return how many connections a worker keeps once so many clients have asked it at once."""
    run(Job(proxy.url, str(Script("bench")), secrets_of(8), CLIENTS, 2 * CLIENTS))
    return wire.connections


def _each(stage: Stage, wire: CountingWire, proxy: Proxy, requests: int, keys: _Keys) -> dict[str, _Counted]:
    return {
        f"{kind}, {name}": _count(stage, wire, proxy, (chunks, limits, requests))
        for name, limits in keys.items()
        for kind, chunks in (("plain", 0), ("streamed", _STREAM_CHUNKS))
    }


def _count(stage: Stage, wire: CountingWire, proxy: Proxy, what: tuple[int, dict[str, Any], int]) -> _Counted:
    chunks, limits, requests = what
    key = fresh_key(**limits)

    def job(count: int) -> Job:
        return Job(proxy.url, str(Script("bench", chunks=chunks or 4)), [key.secret], 1, count, chunks)

    run(job(2))
    time.sleep(_QUIET_SECONDS)
    round_trips, sent, done = wire.round_trips, wire.commands.copy(), _done(stage)
    run(job(requests))
    time.sleep(_QUIET_SECONDS)
    sent, done = wire.commands - sent, _done(stage) - done
    return _Counted(
        (wire.round_trips - round_trips) / requests,
        sum(sent.values()) / requests,
        sum(done.values()) / requests,
        {name: count / requests for name, count in done.most_common()},
    )


def _done(stage: Stage) -> Counter[str]:
    stats: Any = stage.redis.client.info("commandstats")
    calls = {name.removeprefix("cmdstat_"): int(stat["calls"]) for name, stat in stats.items()}
    return Counter({name: count for name, count in calls.items() if name.partition("|")[0] not in _NOT_OF_REQUESTS})


def _figures(version: str, name: str, bare: _Counted, guarded: _Counted, requests: int) -> list[Figure]:
    parts = (
        ("Redis round trips", bare.round_trips, guarded.round_trips),
        ("Redis commands sent", bare.sent, guarded.sent),
        ("Redis commands run, in scripts too", bare.run, guarded.run),
    )
    return [
        one(
            NAME,
            f"{what} per request, {name}",
            "more than bare",
            round(with_guard - alone, 1),
            version=version,
            samples=requests,
            bare=alone,
            guarded=with_guard,
        )
        for what, alone, with_guard in parts
    ]
