"""The last patch of every minor of LiteLLM, one after the other: a table in FILE, and its data beside it, as JSON.

What has been played is kept at once: a sweep that was broken off goes on where it stood, and a version that is asked
for by its number is played again.
"""

from __future__ import annotations

import datetime as dt
import json
import time
from typing import TYPE_CHECKING, Any

from tests.harness import versions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from tests.latest import Verdict

Row = dict[str, Any]
BEGIN, END = "<!-- sweep:begin -->", "<!-- sweep:end -->"
_OLDEST_MINOR = 80
_HEAD = f"""\
# LiteLLM by version

{BEGIN}
{END}
"""
_SHOWN = 5


def sweep(path: Path, numbers: Iterable[str], play: Callable[[str], Verdict]) -> int:
    """Play those versions, or the last patch of every minor that has no row yet; 1 where the guard is harmful."""
    rows = _read(path)
    for number in list(numbers) or [number for number in last_patches() if number not in rows]:
        began = time.monotonic()
        rows[number] = _row(play(number), minutes=(time.monotonic() - began) / 60)
        _write(path, rows)
        print(f"{number}: {rows[number]['result']}, {rows[number]['minutes']} minutes", flush=True)
    return 1 if any(row["result"] == "harmful" for row in rows.values()) else 0


def last_patches() -> list[str]:
    """The last release of each minor; the minor itself where this Python can install none, for the index to say why."""
    newest = versions.Version(versions.newest_on_the_index()).release[1]
    minors = range(_OLDEST_MINOR, newest + 1)
    return [versions.newest_on_the_index(f">=1.{minor},<1.{minor + 1}") or f"1.{minor}" for minor in minors]


def _row(verdict: Verdict, *, minutes: float) -> Row:
    failed = [f"{failure.name}: {failure.why}" for failure in verdict.failed if failure.name not in verdict.alone]
    today = dt.datetime.now(tz=dt.timezone.utc).date().isoformat()
    why = (verdict.uninstallable or verdict.broken)[-600:]
    return {
        "date": today,
        "minutes": round(minutes, 1),
        "result": verdict.result,
        "held": verdict.held,
        "harm": verdict.harm,
        "failed": failed,
        "aside": verdict.aside,
        "alone": verdict.alone,
        "why": why,
    }


def table(rows: dict[str, Row]) -> str:
    """The lines between the markers: a row for each version, and under it what does not hold there."""
    ordered = sorted(rows.items(), key=lambda one: versions.Version(one[0]).release)
    suites = list(dict.fromkeys(suite for row in rows.values() for suite in row["held"]))
    lines = [f"| LiteLLM | {' | '.join(suites)} | the guard is |", f"| --- |{' --- |' * (len(suites) + 1)}"]
    lines += [
        f"| {number} | {' | '.join(row['held'].get(suite, '') for suite in suites)} | {row['result']} |"
        for number, row in ordered
    ]
    notes = [note for number, row in ordered for note in _notes(number, row)]
    return "\n".join([*lines, *(["", *notes] if notes else [])])


def _notes(number: str, row: Row) -> list[str]:
    alone = [f"{name}: LiteLLM alone neither" for name in row.get("alone", ())]
    said = [*row["harm"], *row["failed"], *row["aside"], *alone, *([row["why"]] if row["why"] else [])]
    lines = [" ".join(one.split())[:300] for one in dict.fromkeys(said)]
    more = [f"and {len(lines) - _SHOWN} more"] if len(lines) > _SHOWN else []
    return [f"- {number}: {line}" for line in (*lines[:_SHOWN], *more)]


def _read(path: Path) -> dict[str, Row]:
    data = path.with_suffix(".json")
    rows: dict[str, Row] = json.loads(data.read_text()) if data.exists() else {}
    return rows


def _write(path: Path, rows: dict[str, Row]) -> None:
    path.with_suffix(".json").write_text(json.dumps(rows, indent=1) + "\n")
    before, rest = (path.read_text() if path.exists() else _HEAD).split(BEGIN)
    _, after = rest.split(END)
    path.write_text(f"{before}{BEGIN}\n{table(rows)}\n{END}{after}")
