"""What was measured: figures with their spread and their target, and series to plot."""

from __future__ import annotations

import statistics
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True)
class Target:
    """What a figure should be: `<=` or `>=` a bound."""

    sign: str
    bound: float

    def reached(self, value: float) -> bool:
        return value <= self.bound if self.sign == "<=" else value >= self.bound

    def __str__(self) -> str:
        return f"{self.sign} {self.bound:g}"


def at_most(bound: float) -> Target:
    return Target("<=", bound)


def at_least(bound: float) -> Target:
    return Target(">=", bound)


@dataclass(frozen=True)
class Figure:
    """One line of the table.

    Attributes:
        unit: of value, low and high; `ratio` is guard / bare.
        low: the lower quartile of the samples, or of the ratios of pairs.
        high: the upper one.
        bare: what a ratio was made of, its median, in its own unit; else LiteLLM alone, for comparison.
    """

    measure: str
    name: str
    unit: str
    value: float
    low: float
    high: float
    samples: int
    version: str = ""
    target: Target | None = None
    bare: float | None = None
    guarded: float | None = None

    @property
    def reached(self) -> bool | None:
        return None if self.target is None else self.target.reached(self.value)

    def as_json(self) -> dict[str, Any]:
        return {
            **asdict(self),
            "target": None if self.target is None else str(self.target),
            "reached": self.reached,
        }


def one(measure: str, name: str, unit: str, value: float, **more: Any) -> Figure:
    """Return a figure that has no spread: a count, or a part of a distribution."""
    return Figure(measure, name, unit, value, value, value, more.pop("samples", 1), **more)


def spread(measure: str, name: str, unit: str, samples: Sequence[float], **more: Any) -> Figure:
    """Return the median of the samples and its quartiles."""
    low, middle, high = quartiles(samples)
    return Figure(measure, name, unit, middle, low, high, len(samples), **more)


def ratio(measure: str, name: str, pairs: Sequence[tuple[float, float]], **more: Any) -> Figure:
    """Return the median of guard / bare over pairs of (bare, guarded)."""
    low, middle, high = quartiles([guarded / bare for bare, guarded in pairs])
    more["bare"] = statistics.median(bare for bare, _ in pairs)
    more["guarded"] = statistics.median(guarded for _, guarded in pairs)
    return Figure(measure, name, "ratio", middle, low, high, len(pairs), **more)


def quartiles(samples: Sequence[float]) -> tuple[float, float, float]:
    if len(samples) == 1:
        return samples[0], samples[0], samples[0]
    low, middle, high = statistics.quantiles(samples, n=4, method="inclusive")
    return low, middle, high


def percentile(samples: Sequence[float], percent: int) -> float:
    """Return the value that so many percent of the samples do not exceed."""
    ordered = sorted(samples)
    return ordered[min(len(ordered) - 1, round(len(ordered) * percent / 100))]


@dataclass(frozen=True)
class Series:
    """One line of a plot: how a cost grows."""

    plot: str
    line: str
    x: str
    y: str
    points: list[tuple[float, float]]


@dataclass
class Results:
    """All of one run."""

    figures: list[Figure] = field(default_factory=list)
    series: list[Series] = field(default_factory=list)

    def add(self, more: Results) -> None:
        self.figures += more.figures
        self.series += more.series

    def as_json(self) -> dict[str, Any]:
        return {
            "figures": [figure.as_json() for figure in self.figures],
            "series": [asdict(series) for series in self.series],
        }
