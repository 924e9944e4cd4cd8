"""The README's table of endings, from a run without the guard and one with it.

python -m tests.matrix.table BARE.json... GUARDED.json...
"""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

from tests.harness.versions import named
from tests.matrix.cells import BARE, Cell, exists
from tests.matrix.play import CAP, REQUESTS, Result

README = Path(__file__).parents[2] / "README.md"
BEGIN, END = "<!-- exits:begin -->", "<!-- exits:end -->"

_LEGEND = """\
Each cell: LiteLLM alone → with the guard. {requests} requests of a key with `max_parallel_requests: {cap}` end so.
A number is what they leave in Redis: above 0 lost, below 0 given back too often. `L`: Redis is at 0, but the worker
admits another number than {cap}. `.`: 0 left, exactly {cap} of {above} at once admitted, nothing in the guard's
registry, no Redis key without an expiry. An empty cell: that version can't end a request so. Rows in which no version
alone is wrong are left out; routes that do the same share a row. **With the guard {right} of all {cells} cells are
balanced.** It was written by `pytest -m matrix --litellm all` without and with the guard, and `tests.matrix.table`.
"""

Row = tuple[str, str]


@dataclass
class Runs:
    """Every result by version and row, without and with the guard."""

    bare: dict[str, dict[Row, Result]] = field(default_factory=lambda: defaultdict(dict))
    guarded: dict[str, dict[Row, Result]] = field(default_factory=lambda: defaultdict(dict))
    bare_cells: dict[str, dict[Cell, Result]] = field(default_factory=lambda: defaultdict(dict))

    def read(self, path: Path) -> None:
        said = json.loads(path.read_text())
        runs = self.guarded if said["guarded"] else self.bare
        for version, cells in said["versions"].items():
            for cell, result in ((Cell.named(name), result) for name, result in cells.items()):
                if exists(cell, named(version)):
                    runs[version][_row(cell)] = Result(**result)
                    if not said["guarded"]:
                        self.bare_cells[version][cell] = Result(**result)

    @property
    def versions(self) -> list[str]:
        both = self.bare.keys() & self.guarded.keys()
        return sorted(both, key=lambda number: named(number).release)

    def wrong_rows(self) -> list[Row]:
        """Those that LiteLLM alone, or the guard, leaves unbalanced on any version."""
        wrong = {
            row
            for runs in (self.bare, self.guarded)
            for version in self.versions
            for row, result in runs[version].items()
            if not result.balanced
        }
        order = list(dict.fromkeys(row for version in self.versions for row in self.bare[version]))
        return sorted(wrong, key=order.index)

    def balanced(self) -> tuple[int, int]:
        """How many cells of the guard's are right, of all."""
        results = [result for version in self.versions for result in self.guarded[version].values()]
        return sum(result.balanced for result in results), len(results)


def _row(cell: Cell) -> Row:
    return cell.route, cell.ending + (" (cancel_on_disconnect)" if cell.cancelling else "")


def mark(result: Result | None) -> str:
    """One cell: `.` is balanced, a number is what was left of three requests."""
    if result is None:
        return ""
    if result.balanced:
        return "."
    if result.fault and not result.left:
        return "?"
    if not result.left:
        return "L"
    return f"{result.left:+d}"


def table(runs: Runs) -> str:
    """The lines between the markers."""
    right, cells = runs.balanced()
    versions = runs.versions
    lines = [
        _LEGEND.format(requests=REQUESTS, cap=CAP, above=CAP + 2, right=right, cells=cells),
        f"| route | ending | {' | '.join(versions)} |",
        f"| --- | --- |{' --- |' * len(versions)}",
    ]
    lines += [f"| {routes} | {ending} | {cells} |" for (ending, cells), routes in _merged(runs).items()]
    return "\n".join(lines)


def _merged(runs: Runs) -> dict[tuple[str, str], str]:
    """The rows, those routes in one that have the same cells."""
    routes: dict[tuple[str, str], list[str]] = defaultdict(list)
    for route, ending in runs.wrong_rows():
        routes[ending, " | ".join(_cells(runs, (route, ending)))].append(route)
    return {row: ", ".join(names) for row, names in routes.items()}


def _cells(runs: Runs, row: Row) -> list[str]:
    return [_arrow(mark(runs.bare[v].get(row)), mark(runs.guarded[v].get(row))) for v in runs.versions]


def _arrow(bare: str, guarded: str) -> str:
    return bare if bare == guarded else f"{bare} → {guarded}"


def write_bare(runs: Runs) -> None:
    """Keep what tells one version from another for those runs that afford only what differs."""
    wrong = {
        version: {str(cell): mark(result) for cell, result in runs.bare_cells[version].items() if not result.balanced}
        for version in runs.versions
    }
    BARE.write_text(json.dumps(wrong, indent=1) + "\n")


def main(paths: list[str]) -> None:
    runs = Runs()
    for path in paths:
        runs.read(Path(path))
    write_bare(runs)
    text = README.read_text()
    before, rest = text.split(BEGIN)
    _, after = rest.split(END)
    README.write_text(f"{before}{BEGIN}\n{table(runs)}\n{END}{after}")


if __name__ == "__main__":
    main(sys.argv[1:])
