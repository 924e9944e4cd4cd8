"""The benchmarks run, and what they say reaches docs/. No figure is judged here."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks.__main__ import timed
from benchmarks.figures import Results, one, ratio
from benchmarks.table import rewritten
from benchmarks.targets import Target
from benchmarks.windows import TroubledError
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


def test_a_measure_that_fails_costs_no_other_its_figures(capsys: pytest.CaptureFixture[str]) -> None:
    def troubled() -> Results:
        raise TroubledError("requests failed in 3 windows on end, in the last of them 7")

    found = timed("arrivals 1.110.2", troubled)
    told = "arrivals 1.110.2: requests failed in 3 windows on end, in the last of them 7"
    assert found == Results(amiss=[told], broken=True)
    assert "arrivals 1.110.2 …" in capsys.readouterr().err


def test_a_ratio_is_the_median_of_each_guarded_run_over_the_bare_one_beside_it() -> None:
    """A machine that is slow for one pair slows both, and does not show."""
    found = ratio("m", "n", [(100.0, 90.0), (10.0, 9.0), (100.0, 110.0)])
    assert (found.value, found.bare, found.guarded) == (0.9, 100.0, 90.0)


def test_a_target_is_reached_at_its_bound() -> None:
    assert Target("<=", 1.02).reached(1.02)
    assert not Target("<=", 1.02).reached(1.03)
    assert Target(">=", 0.98).reached(0.98)


def test_commands_are_counted_however_the_network_cuts_them() -> None:
    wire = b"*2\r\n$3\r\nGET\r\n$4\r\na\r\nb\r\n*1\r\n$4\r\nPING\r\n" * 2
    for size in (1, 5, len(wire)):
        commands = Commands()
        pieces = [wire[start : start + size] for start in range(0, len(wire), size)]
        assert [name for piece in pieces for name in commands.feed(piece)] == ["get", "ping"] * 2


def test_the_pages_say_what_a_run_found_and_which_target_it_missed_or_was_too_noisy_for() -> None:
    slow = ratio("throughput", "requests/s, plain", [(100.0, 90.0)], version="1.109.1")
    heavy = one("leases", "memory per lease, 10000 leases, 1 per key", "B", 900.0)
    near = ratio("throughput", "requests/s, plain", [(100.0, 103.0), (100.0, 101.0)], version="1.83.14")
    refused = one("line", "refusals seen by a client", "", 3, version="1.109.1")
    late = ratio("arrivals", "answer, median (ms), plain", [(10.0, 9.0)], version="1.83.14", floor=2.0)
    pages = rewritten(PAGES, _results(near, slow, late, refused, heavy))
    text = pages["benchmarks"]
    told = "100 → 102: 1.02 (1.02 to 1.02), too noisy to tell | 100 → 90: 0.9, too noisy to tell"
    assert f"| requests/s, plain | >= 1.02, >= 1.1 | {told} |" in text
    assert "| answer, median (ms), plain | <= 1.02 | 2; 10 → 9: 0.9, too noisy to tell |  |" in text
    assert "| refusals seen by a client | <= 0 |  | 3 , missed |" in text
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
