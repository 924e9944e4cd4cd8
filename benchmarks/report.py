"""The results as a table on the screen and as JSON."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from benchmarks.verdict import Verdict

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.figures import Figure, Results


def show(results: Results, about: dict[str, Any]) -> None:
    """Print every figure with the verdict on its target; then how many there are of each, and what is amiss."""
    table = Table(title=" · ".join(f"{name} {value}" for name, value in about.items()), title_justify="left")
    for column in ("LiteLLM", "measure", "figure"):
        table.add_column(column, overflow="fold")
    for column in ("floor", "bare", "guard", "value", "quartiles", "n", "target"):
        table.add_column(column, justify="right")
    table.add_column("verdict")
    for figure in results.figures:
        table.add_row(*cells(figure))
    console = Console(width=170, highlight=False, soft_wrap=True)
    console.print(table)
    for line in (counted(results), *results.amiss):
        console.print(line)


def counted(results: Results) -> str:
    """Return how many targets were met, missed, and too near for this run."""
    found = Counter(figure.verdict for figure in results.figures)
    return ", ".join(f"{found[verdict]} {verdict.value}" for verdict in Verdict)


def cells(figure: Figure) -> tuple[str, ...]:
    """Return one line of the table."""
    return (
        figure.version,
        figure.measure,
        figure.name,
        number(figure.floor),
        number(figure.bare),
        number(figure.guarded),
        f"{number(figure.value)} {figure.unit}".strip(),
        _spread(figure),
        str(figure.samples),
        "" if figure.target is None else str(figure.target),
        "" if figure.verdict is None else figure.verdict.value,
    )


def _spread(figure: Figure) -> str:
    if figure.low != figure.high:
        return f"{number(figure.low)} to {number(figure.high)}"
    return "seen once" if len(figure.seen) == 1 else ""


def number(value: float | None) -> str:
    """Return three digits that matter, more where they stand before the point."""
    if value is None:
        return ""
    if abs(value) >= 100:
        return f"{value:,.0f}".replace(",", " ")
    return f"{value:.3g}" if abs(value) < 1 or value == int(value) else f"{value:.{2 if abs(value) < 10 else 1}f}"


def save(results: Results, about: dict[str, Any], path: Path) -> None:
    """Write everything, for the plots, docs/ and the next run to compare with."""
    path.write_text(json.dumps({"about": about, **results.as_json()}, indent=1) + "\n")
