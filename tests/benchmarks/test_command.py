"""The benchmarks run, and what they say reaches docs/. No figure is judged here."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks.figures import at_least, at_most, one, ratio
from benchmarks.table import rewritten
from benchmarks.wire import Commands
from tests.harness.redis_server import require_redis_server

ROOT = Path(__file__).parents[2]
ABOUT = dict.fromkeys(("date", "machine", "guard", "python", "redis", "run"), "today")
PAGE = "before\n<!-- {0}:begin -->\nfound before\n<!-- {0}:end -->\nafter\n"
PAGES = {name: PAGE.format(name) for name in ("benchmarks", "growth")}


@pytest.mark.thorough
def test_the_command_measures_and_writes_what_it_found(tmp_path: Path) -> None:
    """In this process against a real Redis: what it takes for proxies is what the other tests start."""
    require_redis_server()
    found = tmp_path / "found.json"
    command = [sys.executable, "-m", "benchmarks", "--quick", "--only", "pair,leases", "--json", str(found)]
    done = subprocess.run(command, cwd=ROOT, env=dict(os.environ), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    figures = json.loads(found.read_text())["figures"]
    assert {figure["measure"] for figure in figures} == {"pair", "leases"}
    assert [figure for figure in figures if not figure["value"] > 0] == []
    assert "acquire + release" in done.stdout


def test_a_measure_that_does_not_exist_is_named(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "benchmarks", "--only", "pear"]
    done = subprocess.run(command, cwd=ROOT, env=dict(os.environ), capture_output=True, text=True, check=False)
    assert (done.returncode, "no such measure: pear" in done.stderr) == (2, True), done.stderr


def test_a_ratio_is_the_median_of_each_guarded_run_over_the_bare_one_beside_it() -> None:
    """A machine that is slow for one pair slows both, and does not show."""
    found = ratio("m", "n", [(100.0, 90.0), (10.0, 9.0), (100.0, 110.0)], target=at_least(0.95))
    assert (found.value, found.bare, found.guarded, found.reached) == (0.9, 100.0, 90.0, False)


def test_a_target_is_reached_at_its_bound() -> None:
    assert at_most(1.02).reached(1.02)
    assert not at_most(1.02).reached(1.03)
    assert at_least(0.98).reached(0.98)


def test_commands_are_counted_however_the_network_cuts_them() -> None:
    wire = b"*2\r\n$3\r\nGET\r\n$4\r\na\r\nb\r\n*1\r\n$4\r\nPING\r\n" * 2
    for size in (1, 5, len(wire)):
        commands = Commands()
        pieces = [wire[start : start + size] for start in range(0, len(wire), size)]
        assert [name for piece in pieces for name in commands.feed(piece)] == ["get", "ping"] * 2


def test_the_pages_say_what_a_run_found_and_which_target_it_missed() -> None:
    slow = ratio("throughput", "requests/s, plain", [(100.0, 90.0)], version="1.109.1", target=at_least(0.98))
    heavy = one("leases", "memory per lease, 10000 leases, 1 per key", "B", 900.0, target=at_most(1024))
    pages = rewritten(PAGES, _results(slow, heavy))
    text = pages["benchmarks"]
    assert "| requests/s, plain | >= 0.98 | 100 → 90: 0.9, missed |" in text
    assert "| memory per lease, 10000 leases, 1 per key | <= 1024 | 900 B |" in text
    assert "A Redis runs its scripts on one core." in pages["growth"]
    for text in pages.values():
        assert "found before" not in text
        assert text.startswith("before\n")
        assert text.endswith("\nafter\n")


def test_the_page_says_so_where_its_figures_are_of_no_full_run() -> None:
    results = _results()
    assert "**Not a full run**: today" in rewritten(PAGES, results)["benchmarks"]
    results["about"] = {**ABOUT, "run": "full"}
    assert "Not a full run" not in rewritten(PAGES, results)["benchmarks"]


def test_a_page_without_its_markers_is_left_alone() -> None:
    with pytest.raises(SystemExit, match="growth:begin"):
        rewritten({**PAGES, "growth": "gone"}, _results())


def _results(*figures: Any) -> dict[str, Any]:
    return {"about": ABOUT, "figures": [figure.as_json() for figure in figures]}
