"""Very many streams are left at once: how soon their slots are back, and what the others notice of it."""

from __future__ import annotations

import resource
import time
from dataclasses import dataclass, field
from functools import partial
from statistics import median
from typing import TYPE_CHECKING

from benchmarks.figures import Figure, one, percentile, ratio, spread
from benchmarks.hang_up import slots_held
from benchmarks.open_loop import Arrivals, Arrived, ended, started
from benchmarks.streams import held
from benchmarks.windows import THROWN, Windows
from tests.harness.keys import fresh_key
from tests.harness.provider.script import Script

if TYPE_CHECKING:
    from benchmarks.stage import Plan, Stage
    from tests.harness.keys import Key
    from tests.harness.proxy import Proxy
    from tests.harness.versions import Version

NAME = "storm"
_KEYS = 8
# So seldom do those get a chunk that leave: what is measured is their leaving, not their chunks.
_GAP_SECONDS = 5.0
# The others: streams that begin at this rate, from a second before the storm on.
_RATE, _CHUNKS, _BEFORE_SECONDS, _SECONDS = 8.0, 10, 1.0, 8.0
# For so long no slot has come back: LiteLLM below 1.94 forgets them.
_GIVE_UP_SECONDS = 5.0
_POLL_SECONDS = 0.002
_FILES_PER_STREAM = 4


@dataclass
class _Storm:
    """One of them.

    Attributes:
        back: seconds until the last slot was free.
        left: slots that never were.
        first: seconds to the first token of each stream of others that was due after it.
    """

    back: float
    left: int
    first: list[float]
    failed: int


@dataclass
class _Seen:
    pairs: list[tuple[float, float]] = field(default_factory=list)
    storms: dict[bool, list[_Storm]] = field(default_factory=lambda: {False: [], True: []})
    thrown: dict[bool, Windows] = field(default_factory=lambda: {False: Windows(), True: Windows()})


def measure(stage: Stage, version: Version, plan: Plan) -> list[Figure]:
    """Return what becomes of the slots with the guard and without, and of the others' first token."""
    count, seen = _streams(plan), _Seen()
    for turn in range(plan.pick(5, 1)):
        for guarded in (True, False) if turn % 2 else (False, True):
            with stage.proxy(stage.setup(version, guarded=guarded and not plan.noise)) as proxy:
                played = seen.thrown[guarded].untroubled(partial(_storm, stage, proxy, count))
                seen.storms[guarded].append(played)
        bare, guard = (percentile(seen.storms[side][-1].first, 99) * 1000 for side in (False, True))
        seen.pairs.append((bare, guard))
    return _figures(str(version), count, seen)


def _streams(plan: Plan) -> int:
    """Return a thousand, or two hundred where a process may not open files for a thousand."""
    many, few = 1000, 200
    allowed, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return few if plan.quick or allowed < _FILES_PER_STREAM * many else many


def _storm(stage: Stage, proxy: Proxy, count: int) -> _Storm:
    keys = [fresh_key(1000) for _ in range(_KEYS)]
    secrets = [keys[number % _KEYS].secret for number in range(count)]
    script = str(Script("others", chunks=_CHUNKS))
    others = Arrivals(proxy.url, script, [fresh_key(1000).secret], _RATE, _SECONDS, _CHUNKS)
    with held(proxy.url, secrets, _GAP_SECONDS) as leaving:
        asking = started(others)
        time.sleep(_BEFORE_SECONDS)
        at = time.monotonic()
        leaving.kill()
        left, back = _left(stage, keys)
        arrived = ended(asking)
    return _Storm(back - at, left, _after(others, arrived, at), arrived.failed)


def _left(stage: Stage, keys: list[Key]) -> tuple[int, float]:
    """Wait for the last slot; return how many don't come back, and when the last one did."""
    left, since = _held(stage, keys), time.monotonic()
    while left and time.monotonic() < since + _GIVE_UP_SECONDS:
        time.sleep(_POLL_SECONDS)
        before, left = left, _held(stage, keys)
        if left != before:
            since = time.monotonic()
    return left, since


def _held(stage: Stage, keys: list[Key]) -> int:
    return sum(max(0, slots_held(stage, key)) for key in keys)


def _after(others: Arrivals, arrived: Arrived, at: float) -> list[float]:
    if arrived.failed:
        return []
    return [first for due, first in zip(others.due(), arrived.first, strict=True) if arrived.begun + due >= at]


def _figures(version: str, count: int, seen: _Seen) -> list[Figure]:
    about, storms = f"{count} streams left at once", seen.storms
    left = {side: max(storm.left for storm in storms[side]) for side in storms}
    back = {side: [storm.back for storm in storms[side]] for side in storms}
    thrown = {side: windows.thrown for side, windows in seen.thrown.items()}
    return [
        one(
            NAME,
            f"slots that never come back, {about}",
            "",
            left[True],
            version=version,
            bare=left[False],
            samples=len(back[True]),
        ),
        spread(NAME, f"the last slot is back, {about}", "s", back[True], version=version, bare=median(back[False])),
        ratio(NAME, f"others' first token meanwhile, p99 (ms), {about}", seen.pairs, version=version),
        one(NAME, THROWN, "", thrown[True], version=version, bare=thrown[False]),
    ]
