"""What clients see of each failure, without the guard and with it, and the README's table of that.

    pytest tests/terminal/test_matrix.py --litellm 1.83.14 --terminal-table one.json
    python -m tests.terminal.table one.json other.json

The first asks LiteLLM alone as well. Two runs of different versions make one table.
"""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

from tests.harness.versions import named

if TYPE_CHECKING:
    from tests.terminal.cells import Cell
    from tests.terminal.sdks import Outcome

README = Path(__file__).parents[2] / "README.md"
BEGIN, END = "<!-- failures:begin -->", "<!-- failures:end -->"

_LEGEND = """\
What a program gets from the official `openai`, `anthropic` and `google-genai` SDK when its provider's stream fails and
no fallback is configured, after three words of the answer where the failure does not begin with `http` or `first`.
**⚠** is a failure that no program can notice: `stop` an answer that looks whole, `hangs` a proxy that must be killed.
A number alone is the `code` of an error that the SDK raises in mid-stream, `HTTP` an answer of that status, `+` with
`Retry-After`. Rows that do the same are one. Written by `pytest tests/terminal --terminal-table` and
`tests.terminal.table`: of {cells} cells LiteLLM alone hides {hidden} failures, the guard {still}.
"""
_HIDDEN = "⚠"
_Told = dict[str, dict[str, str]]
"""What was told by cell, by `bare` or `guarded`."""


class Table:
    """What one run of the tests has seen, by version."""

    def __init__(self) -> None:
        self._told: dict[str, _Told] = defaultdict(lambda: {"bare": {}, "guarded": {}})

    def note(self, version: str, cell: Cell, outcome: Outcome, *, guarded: bool) -> None:
        self._told[version]["guarded" if guarded else "bare"][str(cell)] = told(outcome)

    def write(self, path: Path) -> None:
        path.write_text(json.dumps(self._told, indent=1, ensure_ascii=False) + "\n")


def told(outcome: Outcome) -> str:
    """What a program makes of it, in a word or two."""
    if outcome.raised.startswith("hang"):
        return f"{_HIDDEN} hangs"
    if not outcome.raised:
        failed = outcome.finish in {"response.failed", "error"}
        return f"event `{outcome.finish}`" if failed else f"{_HIDDEN} {_end(outcome)}"
    if outcome.status in {None, 200}:
        return f"{outcome.code or outcome.raised}"
    return f"HTTP {outcome.status}{' +' if outcome.retry_after else ''}"


def _end(outcome: Outcome) -> str:
    return "stop" if outcome.finish else "ends"


def markdown(runs: dict[str, _Told]) -> str:
    """The lines between the markers."""
    versions = sorted(runs, key=lambda number: named(number).release)
    rows: dict[tuple[str, ...], dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for name in dict.fromkeys(name for version in versions for name in runs[version]["guarded"]):
        sdk, provider, failure, fallback = name.split("-")
        if fallback == "none":
            seen = tuple(runs[version]["bare"].get(name, "") for version in versions)
            guarded = dict.fromkeys(told for version in versions if (told := runs[version]["guarded"].get(name)))
            row = (sdk, *seen, " / ".join(guarded))
            rows[row][provider].append(failure)
    lines = [
        _LEGEND.format(**_count(runs)),
        f"| SDK | provider: failure | {' | '.join(f'{version} alone' for version in versions)} | guarded |",
        f"| --- | --- |{' --- |' * len(versions)} --- |",
    ]
    lines += [f"| {sdk} | {_who(who)} | {' | '.join(cells)} |" for (sdk, *cells), who in rows.items()]
    return "\n".join(lines)


def _who(failures: dict[str, list[str]]) -> str:
    """Providers with the same failures in one: `openai, anthropic: mid429, mid529`."""
    providers: dict[str, list[str]] = defaultdict(list)
    for provider, names in failures.items():
        providers[", ".join(names)].append(provider)
    return "; ".join(f"{', '.join(names)}: {failed}" for failed, names in providers.items())


def _count(runs: dict[str, _Told]) -> dict[str, int]:
    def cells(state: str) -> list[str]:
        return [said for run in runs.values() for name, said in run[state].items() if name.endswith("-none")]

    hidden, still = ([said for said in cells(state) if said.startswith(_HIDDEN)] for state in ("bare", "guarded"))
    return {"cells": len(cells("guarded")), "hidden": len(hidden), "still": len(still)}


def main(paths: list[str]) -> None:
    runs: dict[str, _Told] = {}
    for path in paths:
        runs |= json.loads(Path(path).read_text())
    before, rest = README.read_text().split(BEGIN)
    README.write_text(f"{before}{BEGIN}\n{markdown(runs)}\n{END}{rest.split(END)[1]}")


TABLE = Table()

if __name__ == "__main__":
    main(sys.argv[1:])
