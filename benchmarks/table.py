"""What docs/ says of what the guard costs, from a run: `python -m benchmarks.table RESULTS.json…`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from benchmarks.growth_text import growth_text
from benchmarks.report import number
from benchmarks.verdict import Verdict

DOCS = Path(__file__).parents[1] / "docs"
PAGES = {"benchmarks": DOCS / "performance.md", "quick": DOCS / "performance.md", "growth": DOCS / "how-it-grows.md"}

_LEGEND = """\
Measured on {date} ({machine}), with the guard at {guard},
Python {python} and Redis {redis}, by `python -m benchmarks`: a real proxy on a core of its own, a real Redis, a
provider that answers at once. A ratio is with the guard over without it, the median of pairs of runs that followed one
another, and its quartiles; before it stand the two medians, and where a third stands before these, it is the same load
straight at the provider. A target that was missed says so; so does one that the spread is too wide for.
"""
_ROUGH = """\
**Not a full run**: {run}, with fewer samples. Where they are too few, or differ too much, that is said instead of a
verdict. What is said of Redis' core is beside an earlier build, d11b472.
"""
# What is left to the JSON: what says the same again, and what only the arithmetic below needs.
_LEFT_OUT = (
    "commands sent",
    "Redis connections",
    "CPU of redis-server",
    "memory in Redis",
    ": in Redis at",
    *(" 1000 leases,", " 50000 leases,"),
    "scripts that do nothing",
)

Figure = dict[str, Any]


def rewritten(pages: dict[str, str], results: dict[str, Any]) -> dict[str, str]:
    """Return the pages, by the name of their markers, with what stands between these written anew."""
    passages = {"benchmarks": performance, "quick": performance, "growth": growth}
    return {name: _between(text, name, passages[name](results)) for name, text in pages.items()}


def growth(results: dict[str, Any]) -> str:
    """Return the arithmetic of how it grows."""
    return growth_text(results["figures"])


def performance(results: dict[str, Any]) -> str:
    """Return the two tables: by LiteLLM version, and of the guard's own code."""
    # Without the commit: the date says as much, and is there to be read.
    about = {**results["about"], "guard": results["about"]["guard"].split(" (")[0]}
    figures = [figure for figure in results["figures"] if not any(part in figure["name"] for part in _LEFT_OUT)]
    versions = list(dict.fromkeys(figure["version"] for figure in figures if figure["version"]))
    by_version = [figure for figure in figures if figure["version"]]
    alone = [figure for figure in figures if not figure["version"]]
    return "\n".join(
        [
            (_LEGEND if about["run"] == "full" else _LEGEND + _ROUGH).format(**about),
            f"| with LiteLLM | target | {' | '.join(versions)} |",
            f"| --- | --- |{' --- |' * len(versions)}",
            *_rows(by_version, versions),
            "",
            "| the guard's own code | target | measured |",
            "| --- | --- | --- |",
            *_rows(alone, [""]),
        ]
    )


def _rows(figures: list[Figure], versions: list[str]) -> list[str]:
    found = {(figure["name"], figure["version"]): figure for figure in figures}
    return [
        f"| {name} | {_targets(name, figures)} | {' | '.join(_cell(found.get((name, of))) for of in versions)} |"
        for name in dict.fromkeys(figure["name"] for figure in figures)
    ]


def _targets(name: str, figures: list[Figure]) -> str:
    """Return what the figure should be; where LiteLLMs differ, in their order."""
    return ", ".join(dict.fromkeys(figure["target"] or "" for figure in figures if figure["name"] == name))


def _cell(figure: Figure | None) -> str:
    if figure is None:
        return ""
    unit = "" if figure["unit"] in ("ratio", "more than bare") else f" {figure['unit']}"
    said = f"{number(figure['value'])}{unit}"
    if figure["low"] != figure["high"]:
        said += f" ({number(figure['low'])} to {number(figure['high'])})"
    if figure["guarded"] is not None:
        floor = "" if figure["floor"] is None else f"{number(figure['floor'])}; "
        said = f"{floor}{number(figure['bare'])} → {number(figure['guarded'])}: {said}"
    return said if figure["verdict"] in (None, Verdict.MET.value) else f"{said}, {figure['verdict']}"


def _between(text: str, name: str, passage: str) -> str:
    begin, end = f"<!-- {name}:begin -->", f"<!-- {name}:end -->"
    before, found, rest = text.partition(begin)
    _, closed, after = rest.partition(end)
    if not found or not closed:
        raise SystemExit(f"{PAGES[name]} has no {begin} … {end}")
    return f"{before}{begin}\n{passage}\n{end}{after}"


def main(paths: list[str]) -> None:
    runs = [json.loads(Path(path).read_text()) for path in paths]
    figures = [figure for run in runs for figure in run["figures"]]
    about = runs[-1]["about"]
    names = ("quick",) if about["run"] == "quick" else ("benchmarks", "growth")
    pages = {name: PAGES[name].read_text() for name in names}
    for name, text in rewritten(pages, {"about": about, "figures": figures}).items():
        PAGES[name].write_text(text)


if __name__ == "__main__":
    main(sys.argv[1:])
