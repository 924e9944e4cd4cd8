"""Who runs on which core, how much CPU time a process has had, and what machine this is."""

from __future__ import annotations

import os
import platform
import subprocess
import time
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_ROOT = Path(__file__).parents[1]
_PROCESS_CPU = 2


@dataclass(frozen=True)
class Cores:
    """The core of what is measured, and those of everything else; one and the same where there is only one."""

    measured: frozenset[int]
    others: frozenset[int]


def cores() -> Cores:
    """Share out the cores that this process may use."""
    first, *others = sorted(os.sched_getaffinity(0))
    return Cores(frozenset({first}), frozenset(others or [first]))


@contextmanager
def pinned(to: frozenset[int]) -> Iterator[None]:
    """Run the block, and for good whatever process is started in it, on these cores alone."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, to)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def cpu_seconds(pid: int) -> float:
    """Return the CPU time of a process and all its threads: /proc/<pid>/stat knows it to 10 ms only."""
    # The id of another process's CPU clock, as clock_getcpuclockid(3) makes it.
    return time.clock_gettime((~pid << 3) | _PROCESS_CPU)


def memory_of(pid: int) -> int:
    """Return the bytes of a process that are in memory, those that it shares with others included (VmRSS)."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:")) * 1024


def described() -> dict[str, str]:
    """Return date, machine and versions."""
    return {
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "machine": f"{_cpu_model()}, {os.cpu_count()} cores, Linux {platform.release()}",
        "guard": f"{metadata.version('litellm-cancel-guard')} ({_commit()})",
        "python": platform.python_version(),
        "redis": _redis_version(),
    }


def _cpu_model() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def _commit() -> str:
    done = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=_ROOT, capture_output=True, text=True, check=False
    )
    return done.stdout.strip() or "no checkout"


def _redis_version() -> str:
    said = subprocess.run(["redis-server", "--version"], capture_output=True, text=True, check=True).stdout
    return next(word.removeprefix("v=") for word in said.split() if word.startswith("v="))
