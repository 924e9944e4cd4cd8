"""What was measured: figures with their spread and their target, and series to plot."""

from __future__ import annotations

import statistics
from dataclasses import asdict, dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any

from benchmarks.targets import Target, target_of
from benchmarks.verdict import Verdict, verdict_on

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


@dataclass(frozen=True)
class Figure:
    """One line of the table.

    Attributes:
        unit: of value, low and high; `ratio` is guard / bare.
        low: the lower quartile of the samples, or of the ratios of pairs.
        high: the upper one.
        bare: what a ratio was made of, its median, in its own unit; else LiteLLM alone, for comparison.
        floor: the same load straight at the provider, in the unit of `bare`.
        seen: what the verdict goes by, each independent of the others; nothing where it was counted.
        part: of what was seen, that the value is: 0.5 for a median.
    """

    measure: str
    name: str
    unit: str
    value: float
    low: float
    high: float
    samples: int
    version: str = ""
    bare: float | None = None
    guarded: float | None = None
    floor: float | None = None
    seen: tuple[float, ...] = ()
    part: float = 0.5

    @property
    def target(self) -> Target | None:
        return target_of(self.measure, self.name, self.version)

    @property
    def verdict(self) -> Verdict | None:
        return None if self.target is None else verdict_on(self.target, self.value, self.seen, self.part)

    def as_json(self) -> dict[str, Any]:
        return {
            **asdict(self),
            "target": None if self.target is None else str(self.target),
            "verdict": None if self.verdict is None else self.verdict.value,
        }


def one(measure: str, name: str, unit: str, value: float, **more: Any) -> Figure:
    """Return a figure that has no spread: a count, or a part of a distribution."""
    return Figure(measure, name, unit, value, value, value, more.pop("samples", 1), **more)


def spread(measure: str, name: str, unit: str, samples: Sequence[float], **more: Any) -> Figure:
    """Return the median of the samples and its quartiles."""
    low, middle, high = quartiles(samples)
    return Figure(measure, name, unit, middle, low, high, len(samples), **{"seen": tuple(samples), **more})


def part_of(measure: str, name: str, unit: str, samples: Sequence[float], percent: int, **more: Any) -> Figure:
    """Return the percentile of samples that are independent of one another."""
    seen = {"seen": tuple(samples), "part": percent / 100, "samples": len(samples)}
    return one(measure, name, unit, percentile(samples, percent), **seen, **more)


def ratio(measure: str, name: str, pairs: Sequence[tuple[float, float]], *, per_start: int = 1, **more: Any) -> Figure:
    """Return the median of guard / bare over pairs of (bare, guarded).

    So many pairs on end have one start of the proxies in common. They count as one for the verdict: what two proxies
    differ in by chance, they differ in for as long as they live.
    """
    ratios = [guarded / bare for bare, guarded in pairs]
    low, middle, high = quartiles(ratios)
    more["seen"] = tuple(statistics.median(start) for start in _batches(ratios, per_start))
    more["bare"] = statistics.median(bare for bare, _ in pairs)
    more["guarded"] = statistics.median(guarded for _, guarded in pairs)
    return Figure(measure, name, "ratio", middle, low, high, len(pairs), **more)


def _batches(samples: Sequence[float], size: int) -> Iterator[list[float]]:
    left = iter(samples)
    while batch := list(islice(left, size)):
        yield batch


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
    amiss: list[str] = field(default_factory=list)
    """What could not be measured, and why."""
    broken: bool = False
    """Whether that is a fault."""

    def add(self, more: Results) -> None:
        self.figures += more.figures
        self.series += more.series
        self.amiss += more.amiss
        self.broken |= more.broken

    def as_json(self) -> dict[str, Any]:
        return {
            "figures": [figure.as_json() for figure in self.figures],
            "series": [asdict(series) for series in self.series],
            "amiss": self.amiss,
        }
