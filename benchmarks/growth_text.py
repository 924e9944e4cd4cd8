"""How it grows beyond one machine: the arithmetic from the measured costs, in the words of docs/how-it-grows.md."""

from __future__ import annotations

from typing import Any

_BEAT_SECONDS = 10

_TEXT = """\
A Redis runs its scripts on one core. What that core carries, by the CPU time of redis-server in the same run, network
included:

| | LiteLLM up to 1.93 | 1.94 and newer |
| --- | --- | --- |
| acquire and release of one request | {pair_counted} µs | {pair_slots} µs |
| so requests a second on one Redis, at most | {rate_counted} | {rate_slots} |
| so workers with {worker_rate} plain requests a second each | {workers_counted} | {workers_slots} |
| one renewal, each key with one slot / with ten | {one_counted} / {ten_counted} µs | {one_slots} / {ten_slots} µs |
| 10⁶ streams at a lease of 30 s take, of that core | {beat_one_counted} / {beat_ten_counted} % | \
{beat_one_slots} / {beat_ten_slots} % |
| 10⁶ slots in Redis' memory | {mem_one_counted} / {mem_ten_counted} MB | {mem_one_slots} / {mem_ten_slots} MB |

The first limit is Redis' one core. Streams that last less than {crossing} s cost it more by beginning and
ending than by being renewed, longer ones the reverse. Only the guard's share is counted
here: what LiteLLM itself asks of Redis comes on top.

- **Thousands of workers.** Each keeps as many connections as it has calls to Redis at once: {connections} under
  64 clients, LiteLLM's own among them; the guard opens none. Raise Redis' `maxclients` (10 000) before workers
  times connections comes near it. Where the table's requests a second are reached, go to a Redis Cluster.
- **A Redis Cluster.** All of a key lies on one node. Keys spread over the nodes, and the table holds for each
  node. A beat is one round trip for each node. What can't be spread is one key: its requests are one node's.
- **10⁶ streams.** `lease_seconds: 120` renews a quarter as often, and the slots of a killed worker come back
  after two minutes instead of half a one. A worker with 10 000 streams spends {share} % of its core on renewing
  them if each is of another key, {share_ten} % if ten share one; its event loop is busy with that for {beat_ms} ms
  at each beat, in turns of some milliseconds. Many workers with fewer streams each are better than the reverse.
- **A far Redis.** A request waits for one round trip before its provider is asked, and for one before its last
  byte. A `redis_timeout` near the round trip takes a slow Redis for one that is away."""


def growth_text(figures: list[dict[str, Any]]) -> str:
    """Return the passage; a figure that this run lacks is a question mark."""
    values = {figure["name"]: figure["value"] for figure in figures}
    plain = "requests/s, plain"
    bare = [figure["bare"] for figure in figures if figure["name"] == plain]
    worker_rate = max(bare, default=None)
    fields: dict[str, float | None] = {
        "worker_rate": worker_rate,
        "share": _held(values, 1),
        "share_ten": _held(values, 10),
        "connections": max((v for name, v in values.items() if name.startswith("Redis connections")), default=None),
        # Of ten seconds, a percent is 100 ms.
        "beat_ms": _times(_held(values, 1), 100),
    }
    for layout in ("counted", "slots"):
        fields |= _of_layout(values, layout, worker_rate)
    pair, renewal = fields["pair_slots"], fields["one_slots"]
    fields["crossing"] = pair / renewal * _BEAT_SECONDS if pair and renewal else None
    return _TEXT.format(**{name: _said(value) for name, value in fields.items()})


def _held(values: dict[str, float], per_key: int) -> float | None:
    found = [values.get(f"heartbeat, 10000 leases, {per_key} per key, {layout}") for layout in ("counted", "slots")]
    return max((value for value in found if value is not None), default=None)


def _of_layout(values: dict[str, float], layout: str, worker_rate: float | None) -> dict[str, float | None]:
    pair = values.get(f"CPU of redis-server per acquire + release, registry, ledger and gauge, {layout}")
    rate = 1e6 / pair if pair else None
    fields = {
        f"pair_{layout}": pair,
        f"rate_{layout}": rate,
        f"workers_{layout}": rate / worker_rate if rate and worker_rate else None,
    }
    for word, per_key in (("one", 1), ("ten", 10)):
        about = f"10000 leases, {per_key} per key, {layout}"
        renewal = values.get(f"CPU of redis-server per lease renewed, {about}")
        fields[f"{word}_{layout}"] = renewal
        # A million renewals of so many microseconds are as many seconds, in every ten.
        fields[f"beat_{word}_{layout}"] = _times(renewal, 100 / _BEAT_SECONDS)
        fields[f"mem_{word}_{layout}"] = values.get(f"memory in Redis per lease, {about}")
    return fields


def _times(value: float | None, factor: float) -> float | None:
    return None if value is None else value * factor


def _said(value: float | None) -> str:
    """Return two digits: the rest would be another machine's."""
    if value is None:
        return "?"
    rounded = float(f"{value:.2g}")
    return f"{rounded:,.0f}".replace(",", " ") if rounded >= 10 else f"{rounded:g}"
