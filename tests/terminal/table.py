"""The table of the matrix, before and after: one row for each failure, one column for each version."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from tests.terminal.cells import Cell
    from tests.terminal.sdks import Outcome

_Key = tuple[str, str, str, str]


class Table:
    def __init__(self) -> None:
        self._seen: dict[_Key, dict[tuple[str, bool], str]] = defaultdict(dict)

    def note(self, version: str, cell: Cell, outcome: Outcome, *, guarded: bool, wanted: bool) -> None:
        if wanted:
            key = (cell.sdk, cell.provider.name, cell.failure.name, cell.fallback)
            self._seen[key][version, guarded] = told(outcome)

    def write(self, path: Path) -> None:
        versions = sorted({version for row in self._seen.values() for version, _ in row}, key=_number)
        lines = []
        for sdk in dict.fromkeys(key[0] for key in self._seen):
            lines += [f"### {sdk}", ""]
            names = [f"{version} {state}" for version in versions for state in ("alone", "guarded")]
            lines.append(f"| provider | failure | fallback | {' | '.join(names)} |")
            lines.append("| --- " * (3 + len(names)) + "|")
            for key, row in self._seen.items():
                if key[0] == sdk:
                    told = [row.get((version, guarded), "-") for version in versions for guarded in (False, True)]
                    lines.append(f"| {' | '.join((*key[1:], *told))} |")
            lines.append("")
        path.write_text("\n".join(lines))


def told(outcome: Outcome) -> str:
    """What a program makes of it, in a few words."""
    said = len(outcome.text.split())
    if not outcome.raised:
        return f"⚠ silent end, `{outcome.finish}`, {said} words"
    if outcome.raised.startswith("hang"):
        return f"⚠ {outcome.raised}"
    status = "" if outcome.status in (None, 200) else f" HTTP {outcome.status}"
    after = f", Retry-After {outcome.retry_after}" if outcome.retry_after else ""
    return f"`{outcome.raised}`{status} {outcome.code or ''}{after}".replace("  ", " ").strip()


def _number(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdigit())


TABLE = Table()
