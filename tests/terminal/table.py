"""What clients see of each failure, without the guard and with it, and the table of that in docs/failing-streams.md.

    pytest -m litellm tests/terminal/test_matrix.py --litellm 1.83.14 --terminal-table one.json
    python -m tests.terminal.table one.json other.json

The first asks LiteLLM alone as well. Runs of different versions, or of a half each, make one table.
"""

from __future__ import annotations

import json
import re
import sys
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

from tests.harness.versions import named

if TYPE_CHECKING:
    from tests.terminal.cells import Cell
    from tests.terminal.sdks import Outcome

PAGE = Path(__file__).parents[2] / "docs" / "failing-streams.md"
BEGIN, END = "<!-- failures:begin -->", "<!-- failures:end -->"

_LEGEND = """\
What a program gets from the official `openai`, `anthropic` and `google-genai` SDK when its provider fails and no
fallback is configured: from LiteLLM alone by version, and guarded on each of them. A failure whose name begins with
`http` is an answer with that status, `first` comes before the first word, all others after three words. **⚠ silent**:
the answer looks whole. **⚠ hangs**: the proxy has to be killed (run with one such stream, as the source has it for the
others). *event*: nothing is raised, but an event says so. *garbled*: the SDK fails at reading it. A number: the SDK
raises an error that names this status (5xx: any of them); with `HTTP` the answer itself has it, with `+` and a
`Retry-After`. Rows that do the same are one. Of {cells} cells LiteLLM alone leaves {hidden} silent or hanging, the
guard {still}. It was written by `pytest -m litellm tests/terminal/test_matrix.py --terminal-table` and
`tests.terminal.table`.
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
        return "event" if outcome.finish in {"response.failed", "error"} else f"{_HIDDEN} silent"
    if outcome.status not in {None, 200}:
        return f"HTTP {_kind(str(outcome.status))}{' +' if outcome.retry_after else ''}"
    return _kind(outcome.code or "")


def _kind(said: str) -> str:
    if "429" in said or "rate_limit" in said:
        return "429"
    if "529" in said or "overloaded" in said:
        return "529"
    return "5xx" if re.search(r"\b5\d\d\b|api_error", said) else said or "garbled"


def markdown(runs: dict[str, _Told]) -> str:
    """The lines between the markers."""
    versions = sorted(runs, key=lambda number: named(number).release)
    rows: dict[tuple[str, ...], dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for name in dict.fromkeys(name for version in versions for name in runs[version]["guarded"]):
        sdk, provider, failure, fallback = name.split("-")
        if fallback == "none":
            bare = [runs[version]["bare"].get(name, "") for version in versions]
            guarded = dict.fromkeys(told for version in versions if (told := runs[version]["guarded"].get(name)))
            row = (*bare, " / ".join(guarded))
            rows[row][f"{sdk} {provider}"].append(failure)
    lines = [
        _LEGEND.format(**_count(runs)),
        f"| protocol · provider · failure | {' | '.join(versions)} | guarded |",
        f"| --- |{' --- |' * len(versions)} --- |",
    ]
    lines += [f"| {_who(who)} | {' | '.join(cells)} |" for cells, who in rows.items()]
    return "\n".join(lines)


def _who(failures: dict[str, list[str]]) -> str:
    """Name what does the same in one: `chat, messages · gemini, vertex · cut, close`."""
    providers: dict[tuple[str, str], list[str]] = defaultdict(list)
    for who, failed in failures.items():
        sdk, provider = who.split()
        providers[sdk, ", ".join(failed)].append(provider)
    sdks: dict[tuple[str, str], list[str]] = defaultdict(list)
    for (sdk, names), who_failed in providers.items():
        sdks[", ".join(who_failed), names].append(sdk)
    return "<br>".join(f"{', '.join(asked)} · {who} · {names}" for (who, names), asked in sdks.items())


def _count(runs: dict[str, _Told]) -> dict[str, int]:
    def cells(state: str) -> list[str]:
        return [said for run in runs.values() for name, said in run[state].items() if name.endswith("-none")]

    hidden, still = ([said for said in cells(state) if said.startswith(_HIDDEN)] for state in ("bare", "guarded"))
    return {"cells": len(cells("guarded")), "hidden": len(hidden), "still": len(still)}


def main(paths: list[str]) -> None:
    runs: dict[str, _Told] = defaultdict(lambda: {"bare": {}, "guarded": {}})
    for path in paths:
        for version, told in json.loads(Path(path).read_text()).items():
            for state in told:
                runs[version][state] |= told[state]
    before, rest = PAGE.read_text().split(BEGIN)
    PAGE.write_text(f"{before}{BEGIN}\n{markdown(runs)}\n{END}{rest.split(END)[1]}")


TABLE = Table()

if __name__ == "__main__":
    main(sys.argv[1:])
