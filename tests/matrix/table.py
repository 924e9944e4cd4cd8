"""The tables of endings in docs/measured.md, from runs without the guard and with it.

python -m tests.matrix.table RUN.json...

What LiteLLM alone leaves behind is kept in bare.json, and in guarded.json what the guard makes of it on the versions of
which each cell has been played with it: a run renews there the cells that it played.
"""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

from tests.harness.versions import VERSIONS, named
from tests.matrix.cells import ALL, BARE, GAPS, GUARDED, NEVER, Cell, exists
from tests.matrix.play import CAP, REQUESTS, Result

PAGE = Path(__file__).parents[2] / "docs" / "measured.md"
BEGIN, END = "<!-- exits:begin -->", "<!-- exits:end -->"
BALANCED = "."

_SUMMARY = """\
Endings that LiteLLM **alone** leaves unbalanced, of those that were played, by route and version. With the guard
**{right} of all {cells} cells are balanced**: 0 left, exactly {cap} of {above} requests at once admitted, nothing in
the guard's registry, no Redis key without an expiry.
"""
_DETAILS = """\
Each cell is what {requests} requests of a key with `max_parallel_requests: {cap}` that end so leave in Redis under
LiteLLM alone: above 0 lost, below 0 given back too often, `.` balanced. `L`: Redis is at 0, but the worker admits
another number than {cap}. `?`: it could not be made to end so, because LiteLLM refused or did not answer. Empty: that
version has no such ending. What the guard makes of it is `.` everywhere{but}. Routes that differ only in how much is
left share a row; endings that no version gets wrong are left out.
"""
_SOURCE = """\
Written from runs of `pytest -m matrix --litellm all`, with `--bare` and without, by `python -m tests.matrix.table`;
a cell that was played more than once counts by its last run.
"""

TITLES = {
    "chat": "`/v1/chat/completions` to OpenAI",
    "chat_claude": "the same to Anthropic",
    "chat_gem": "the same to Gemini",
    "text": "`/v1/completions`",
    "messages": "`/v1/messages` to OpenAI",
    "messages_claude": "the same to Anthropic",
    "responses": "`/v1/responses`",
    "responses_tools": "the same, when LiteLLM calls tools",
    "genai": "Gemini's own `:generateContent`",
    "pass_anthropic": "pass-through `/anthropic`",
    "pass_gemini": "pass-through `/gemini`",
    "pass_custom": "a pass-through of one's own",
    "embed": "`/v1/embeddings`",
    "mcp": "MCP tool calls, `/mcp`",
    "mcp_rest": "the same, `/mcp-rest`",
    "realtime": "WebSocket `/v1/realtime`",
    "responses_ws": "WebSocket `/v1/responses`",
    "fallback": "a fallback's second model",
}

Marks = dict[str, dict[Cell, str]]


def mark(result: Result) -> str:
    """One cell: `.` is balanced, a number is what was left of three requests."""
    if result.balanced:
        return BALANCED
    if result.left:
        return f"{result.left:+d}"
    return "?" if result.fault else "L"


def read(paths: list[str]) -> tuple[Marks, Marks]:
    """What LiteLLM alone leaves, renewed by the runs, and what the guard does."""
    bare: Marks = defaultdict(dict, {v: _marks(cells) for v, cells in json.loads(BARE.read_text()).items()})
    played = json.loads(GUARDED.read_text())
    guarded: Marks = defaultdict(dict, {v: _all_of(v, **kept) for v, kept in played.items()})
    for path in paths:
        run = json.loads(Path(path).read_text())
        for version, cells in run["versions"].items():
            for name, result in cells.items():
                (guarded if run["guarded"] else bare)[version][Cell.named(name)] = mark(Result(**result))
    return bare, guarded


def _marks(cells: dict[str, str]) -> dict[Cell, str]:
    return {Cell.named(name): said for name, said in cells.items()}


def _all_of(version: str, played: int, wrong: dict[str, str]) -> dict[Cell, str]:
    """What became of all cells of a version; of none where there are other cells by now than those *played*."""
    cells = _of_version(version)
    return dict.fromkeys(cells, BALANCED) | _marks(wrong) if played == len(cells) else {}


def _of_version(version: str) -> list[Cell]:
    return [cell for cell in ALL if exists(cell, named(version))]


def keep(bare: Marks, guarded: Marks) -> None:
    """Keep what tells one version from another for those runs that afford only what differs, and what was played."""
    versions = list(map(str, VERSIONS))
    _write(BARE, {v: _wrong(v, bare[v]) for v in versions if v in bare})
    played = {v: {"played": len(guarded[v]), "wrong": _wrong(v, guarded[v])} for v in versions if v in guarded}
    _write(GUARDED, played)


def _wrong(version: str, marks: dict[Cell, str]) -> dict[str, str]:
    return {str(cell): said for cell in _of_version(version) if (said := marks.get(cell, BALANCED)) != BALANCED}


def _write(path: Path, kept: dict[str, Any]) -> None:
    path.write_text(json.dumps(kept, indent=1) + "\n")


def _of(marks: Marks, cell: Cell, version: str) -> str:
    return marks[version].get(cell, BALANCED) if exists(cell, named(version)) else ""


def unplayed(guarded: Marks) -> list[str]:
    """The cells of the versions that were played which no run has: `_of` would take them for balanced."""
    return [f"{v} {cell}" for v in guarded for cell in _of_version(v) if cell not in guarded[v]]


def summary(bare: Marks, versions: list[str]) -> list[str]:
    """One row for each route: how many of its endings go wrong."""
    lines = [f"| | route | {' | '.join(versions)} |", f"| --- | --- |{' --- |' * len(versions)}"]
    for route, title in TITLES.items():
        counts = []
        for version in versions:
            said = [mark for cell in ALL if cell.route == route and (mark := _of(bare, cell, version))]
            counts.append(f"{sum(mark != BALANCED for mark in said)}/{len(said)}" if said else "")
        lines.append(f"| `{route}` | {title} | {' | '.join(counts)} |")
    return lines


def details(bare: Marks, guarded: Marks, versions: list[str]) -> list[str]:
    """The endings that go wrong somewhere, those routes in one row that do so on the same versions."""
    rows: dict[tuple[str, ...], list[Cell]] = defaultdict(list)
    for cell in ALL:
        kinds = [_of(bare, cell, version)[:1] + _of(guarded, cell, version)[:1] for version in versions]
        if any(kind.strip(BALANCED) for kind in kinds):
            alike = (cell.ending, str(cell.cancelling), *kinds)
            rows[alike].append(cell)
    lines = [f"| ending | routes | {' | '.join(versions)} |", f"| --- | --- |{' --- |' * len(versions)}"]
    for cells in sorted(rows.values(), key=lambda cells: _ending_order(cells[0])):
        said = [
            _range([_of(bare, cell, v) for cell in cells], [_of(guarded, cell, v) for cell in cells]) for v in versions
        ]
        ending = cells[0].ending + (" (cancel_on_disconnect)" if cells[0].cancelling else "")
        lines.append(f"| {ending} | {', '.join(cell.route for cell in cells)} | {' | '.join(said)} |")
    return lines


def _ending_order(cell: Cell) -> tuple[bool, int]:
    return cell.cancelling, [one.ending for one in ALL].index(cell.ending)


def _range(bare: list[str], guarded: list[str]) -> str:
    """How much is left depends on timing: `+1…+3`."""
    amounts = sorted(set(bare), key=lambda said: abs(int(said)) if said[1:].isdigit() else 0)
    alone = "…".join(dict.fromkeys((amounts[0], amounts[-1])))
    wrong = sorted({said for said in guarded if said not in ("", BALANCED)})
    return f"{alone} → {', '.join(wrong)}" if wrong else alone


def table(bare: Marks, guarded: Marks) -> str:
    """The lines between the markers."""
    versions = [str(version) for version in VERSIONS if str(version) in guarded]
    said = [one for version in versions for cell in ALL if (one := _of(guarded, cell, version))]
    right = said.count(BALANCED)
    but = "" if right == len(said) else ", or stands behind an arrow"
    never = [*(gap.why for gap in GAPS), *(f"On no version: {what}" for what in NEVER)]
    return "\n".join(
        [
            _SUMMARY.format(right=right, cells=len(said), cap=CAP, above=CAP + 2),
            *summary(bare, versions),
            "",
            '<details markdown="1">',
            "<summary>Ending by ending, and what was left out</summary>",
            "",
            _DETAILS.format(requests=REQUESTS, cap=CAP, but=but),
            *details(bare, guarded, versions),
            "",
            "Left out:",
            "",
            *(f"- {why}" for why in never),
            "",
            _SOURCE.strip(),
            "",
            "</details>",
        ]
    )


def main(paths: list[str]) -> None:
    bare, guarded = read(paths)
    if missing := unplayed(guarded):
        raise SystemExit(f"{len(missing)} cells were not played with the guard, {missing[0]} among them: play them")
    keep(bare, guarded)
    before, rest = PAGE.read_text().split(BEGIN)
    _, after = rest.split(END)
    PAGE.write_text(f"{before}{BEGIN}\n{table(bare, guarded)}\n{END}{after}")


if __name__ == "__main__":
    main(sys.argv[1:])
