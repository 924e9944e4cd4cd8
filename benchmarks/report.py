"""The results as a table on the screen and as JSON."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.figures import Figure, Results

_REACHED = {None: "", True: "reached", False: "NOT reached"}


def show(results: Results, about: dict[str, Any]) -> None:
    """Print every figure, its spread, and whether its target is reached."""
    table = Table(title=" · ".join(f"{name} {value}" for name, value in about.items()), title_justify="left")
    for column in ("LiteLLM", "measure", "figure"):
        table.add_column(column, overflow="fold")
    for column in ("bare", "guard", "value", "quartiles", "n", "target"):
        table.add_column(column, justify="right")
    table.add_column("")
    for figure in results.figures:
        table.add_row(*cells(figure))
    Console(width=170, highlight=False).print(table)


def cells(figure: Figure) -> tuple[str, ...]:
    """Return one line of the table."""
    return (
        figure.version,
        figure.measure,
        figure.name,
        number(figure.bare),
        number(figure.guarded),
        f"{number(figure.value)} {figure.unit}".strip(),
        "" if figure.low == figure.high else f"{number(figure.low)} to {number(figure.high)}",
        str(figure.samples),
        "" if figure.target is None else str(figure.target),
        _REACHED[figure.reached],
    )


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
