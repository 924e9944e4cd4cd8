"""What a spread allows to say of a target."""

from __future__ import annotations

from enum import Enum
from math import comb
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.targets import Target

_BY_CHANCE = 0.05


class Verdict(str, Enum):
    MET = "met"
    MISSED = "missed"
    NOISY = "too noisy to tell"


def verdict_on(target: Target, value: float, seen: Sequence[float] = (), part: float = 0.5) -> Verdict:
    """Return what can be said of a figure whose value is the part (0.5: the median) of what was seen.

    By a sign test: met, or missed, where samples that come from a program just at the bound would lie so far to one
    side in fewer than 5 of 100 runs. For a median that takes five samples that agree, for a p99 three hundred. What
    was not sampled but counted is judged by its value.
    """
    if not seen:
        return Verdict.MET if target.reached(value) else Verdict.MISSED
    good = sum(target.reached(sample) for sample in seen)
    at_the_bound = part if target.sign == "<=" else 1 - part
    if _at_least(good, len(seen), at_the_bound) < _BY_CHANCE:
        return Verdict.MET
    if _at_least(len(seen) - good, len(seen), 1 - at_the_bound) < _BY_CHANCE:
        return Verdict.MISSED
    return Verdict.NOISY


def _at_least(hits: int, tries: int, chance: float) -> float:
    """Return how likely so many hits or more are."""
    return sum(comb(tries, k) * chance**k * (1 - chance) ** (tries - k) for k in range(hits, tries + 1))
