"""What a worker's start pays for the guard: attaching to LiteLLM's limiter, and the canary's proof in Redis."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.figures import Figure, spread
from benchmarks.machine import pinned
from tests.harness.venvs import python_of

if TYPE_CHECKING:
    from benchmarks.stage import Plan, Stage
    from tests.harness.versions import Version

_ROOT = Path(__file__).parents[1]
NAME = "attach"


def measure(stage: Stage, version: Version, plan: Plan) -> list[Figure]:
    """Return the milliseconds of the first attaching of processes that were started anew."""
    seen = [_attached(stage, version) for _ in range(plan.pick(7, 2))]
    about: dict[str, Any] = {"version": str(version)}
    return [
        spread(NAME, "attach and prove, at a worker's start", "ms", _ms(seen, "wall"), **about),
        spread(NAME, "CPU of it", "ms", _ms(seen, "cpu"), **about),
    ]


def _ms(seen: list[dict[str, Any]], what: str) -> list[float]:
    return [1000 * one[what] for one in seen]


def _attached(stage: Stage, version: Version) -> dict[str, Any]:
    command = [str(python_of(version)), "-m", "benchmarks.attach_probe", str(stage.redis.port)]
    env = {"PYTHONPATH": str(_ROOT), "PATH": os.environ["PATH"], "LITELLM_LOCAL_MODEL_COST_MAP": "True"}
    with pinned(stage.cores.measured):
        done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"the guard could not be attached to LiteLLM {version}: {done.stderr[-2000:]}")
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    if answer["states"].get("slots.seam") != "in force":
        raise RuntimeError(f"the guard is not in force on LiteLLM {version}: {answer['states']}")
    return answer
