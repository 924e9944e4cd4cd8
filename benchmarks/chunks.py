"""What the guard's own layer costs for each chunk of a stream, and what it keeps of it."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tracemalloc
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.chunk_streams import KINDS, Kind, guarded, source
from benchmarks.figures import Figure, Results, one, quartiles
from benchmarks.machine import pinned

if TYPE_CHECKING:
    from benchmarks.stage import Plan, Stage

NAME = "chunks"
_ROOT = Path(__file__).parents[1]
_MICROSECOND = 1e6
# It needs LiteLLM imported, which takes longer than all the others.
_SLOW = "objects, responses"
# pyperf starts each of its processes with an empty environment, but for these.
_INHERITED = ("--inherit-environ", "PYTHONPATH,LITELLM_LOCAL_MODEL_COST_MAP")


def measure(stage: Stage, plan: Plan) -> Results:
    """Return the cost of each kind of chunk on the measured core."""
    import pyperf

    path = stage.folder / "chunks.json"
    how = plan.pick(
        ["--processes", "3", "--values", "4", "--warmups", "1"],
        # So many loops take a tenth of a second; to find that out for each takes longer than to measure it.
        ["--processes", "1", "--values", "5", "--warmups", "1", "--loops", "200", "--without", _SLOW],
    )
    kinds = [kind for kind in KINDS if not plan.quick or kind.name != _SLOW]
    with pinned(stage.cores.measured):
        subprocess.run(
            [sys.executable, "-m", "benchmarks.chunk_streams", "--quiet", "-o", str(path), *how, *_INHERITED],
            env={**os.environ, "PYTHONPATH": str(_ROOT)},
            stdout=subprocess.DEVNULL,
            check=True,
        )
        kept = [_kept(kind, plan.pick(100_000, 20_000)) for kind in kinds]
    found = {bench.get_name(): bench.get_values() for bench in pyperf.BenchmarkSuite.load(str(path))}
    return Results([*(_cost(kind.name, found) for kind in kinds), *kept])


def _cost(name: str, found: dict[str, list[float]]) -> Figure:
    alone = quartiles(found[f"{name}|alone"])[1] * _MICROSECOND
    values = [value * _MICROSECOND - alone for value in found[f"{name}|guarded"]]
    low, middle, high = quartiles(values)
    guarded = middle + alone
    about = f"guard's layer per chunk: {name}"
    return Figure(NAME, about, "µs", middle, low, high, len(values), bare=alone, guarded=guarded, seen=tuple(values))


def _kept(kind: Kind, chunks: int) -> Figure:
    grown = asyncio.run(_growth(kind, chunks))
    return one(NAME, f"bytes kept per chunk of a stream: {kind.name}", "B", round(grown / chunks, 1))


async def _growth(kind: Kind, chunks: int) -> int:
    """Return how many bytes more are in use late in a stream than early in it."""
    seen, sizes = 0, []
    tracemalloc.start()
    try:
        async for _ in guarded(kind, source(kind, chunks)):
            seen += 1
            if seen in (chunks // 10, chunks - 1):
                sizes.append(tracemalloc.get_traced_memory()[0])
    finally:
        tracemalloc.stop()
    return sizes[1] - sizes[0]
