"""What the workers weigh, and whether they grow with the requests they serve.

Two judgements, each of which can fail: test_memory.py shows it with weights, and a request that was kept on purpose was
found by its number.

- By weight: what the worker that is never killed has for itself alone, after half of the weighings and at their end,
  each the median of a tenth of them. LiteLLM has filled its caches by then, so what is left grows with the requests.
  In ten minutes and some 8500 requests of two workers it was 0.5 KiB a request with 1.83.14 and 3.0 with 1.109.1,
  whose own growth it contains; more than 8 is a leak. Memory comes in steps of up to 10 MiB: fewer than 1000 requests
  between the two weighings say nothing.
- By number: at rest, no worker has many more objects of a class of the guard's own than before the storm. It finds what
  is too small to be weighed. What LiteLLM starts in a request and keeps, connections above all, keeps that request's
  context, and so the guard's record of it: 30 of them after two hundred requests, 48 after four thousand.
"""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

_PAGE_KIB = 4
_MOST_KIB_PER_REQUEST = 8.0
_ENOUGH_REQUESTS = 1000
_KEPT_BY_CONTEXTS = 200


class Weight(NamedTuple):
    served: int
    kib: int


@dataclass
class Scales:
    """Weighings of workers by their pid: one that is restarted begins anew."""

    weights: dict[int, list[Weight]] = field(default_factory=dict)
    first: dict[int, dict[str, int]] = field(default_factory=dict)

    def weigh(self, pid: int, served: int) -> None:
        """Note what *pid* has for itself alone, and how many requests its proxy has served."""
        pages = [int(number) for number in Path(f"/proc/{pid}/statm").read_text().split()]
        self.weights.setdefault(pid, []).append(Weight(served, (pages[1] - pages[2]) * _PAGE_KIB))

    def last(self, pid: int) -> int:
        """In MiB."""
        return self.weights[pid][-1].kib // 1024 if pid in self.weights else 0

    def by_weight(self, pid: int) -> tuple[str, bool]:
        """What is to be said of *pid*, and whether it is a violation."""
        weights = self.weights.get(pid, [])
        tenth = len(weights) // 10
        if not tenth:
            return f"worker {pid} was not weighed often enough", False
        half, end = _median(weights[5 * tenth : 6 * tenth]), _median(weights[-tenth:])
        requests = end.served - half.served
        growth = (end.kib - half.kib) / max(requests, 1)
        said = f"worker {pid} grew from {half.kib >> 10} to {end.kib >> 10} MiB, {growth:.1f} KiB a request"
        return said, requests >= _ENOUGH_REQUESTS and growth > _MOST_KIB_PER_REQUEST

    def by_number(self, pid: int, objects: dict[str, int]) -> list[str]:
        """Which of the guard's objects have become more since *pid* was asked first, which is noted."""
        first = self.first.setdefault(pid, objects)
        return [
            f"worker {pid} has {count} of {name}, and had {first.get(name, 0)} at first"
            for name, count in objects.items()
            if count > first.get(name, 0) + _KEPT_BY_CONTEXTS
        ]


def _median(some: list[Weight]) -> Weight:
    return Weight(*(int(statistics.median(column)) for column in zip(*some, strict=True)))
