"""On a LiteLLM that nobody has seen, the guard is never worse than none: real limiters, each with one thing changed."""

from __future__ import annotations

import datetime as dt
import json
import os
import subprocess
import sys
from collections import Counter, defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from litellm_cancel_guard.host.grafts import GRAFTS
from tests.harness import venvs
from tests.harness.config import link_package
from tests.harness.versions import chosen
from tests.mutants.judge import harm, outcome
from tests.terminal.agents import libraries

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.harness.redis_server import RedisServer

VERSIONS = OLDEST, _, NEWEST = ("1.83.14", "1.109.1", "1.110.2")
ROOT = Path(__file__).parents[2]
OUTCOMES = ("attached", "stood aside", "taken out", "harmful")

pytestmark = [pytest.mark.mutants, pytest.mark.timeout(1800)]


def seed() -> str:
    """The commit's id, so that every commit is tried on others; the day, where there is none."""
    if commit := os.environ.get("CANCEL_GUARD_COMMIT"):
        return commit
    found = subprocess.run(("git", "rev-parse", "HEAD"), cwd=ROOT, capture_output=True, text=True, check=False)
    return found.stdout.strip() or dt.datetime.now(dt.timezone.utc).date().isoformat()


@pytest.fixture(scope="session")
def most(pytestconfig: pytest.Config) -> int | None:
    """How many mutants are played of all versions together; None: all."""
    asked: int | None = pytestconfig.getoption("mutants")
    return asked


Played = list[dict[str, Any]]


@pytest.fixture(scope="session")
def played(
    redis_server: RedisServer, most: int | None, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], Played]:
    """What became of a version's mutants, played once for all tests."""
    folder = tmp_path_factory.mktemp("mutants")
    link_package(folder)
    known: dict[str, Played] = {}

    def of(version: str) -> Played:
        if version not in known:
            share = [] if most is None else [seed(), str(_share(most, VERSIONS.index(version)))]
            lines = _player(version, folder, str(redis_server.port), *share)
            known[version] = [json.loads(line) for line in lines if line.startswith("{")]
        return known[version]

    return of


def _player(version: str, folder: Path, *arguments: str) -> list[str]:
    # Of the three the newest alone asks agents by this SDK.
    path = os.pathsep.join((str(folder), str(ROOT), *([libraries()] if version == NEWEST else [])))
    env = {"PATH": "/usr/bin:/bin", "LITELLM_LOCAL_MODEL_COST_MAP": "True", "PYTHONPATH": path}
    command = [str(venvs.python_of(chosen(version)[0])), "-m", "tests.mutants.player", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=env, cwd=folder)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout.splitlines()


def _share(most: int, number: int) -> int:
    return most // len(VERSIONS) + (number < most % len(VERSIONS))


@pytest.mark.parametrize("version", VERSIONS)
def test_no_mutant_is_served_worse_with_the_guard_than_without_it(
    version: str, played: Callable[[str], Played]
) -> None:
    """The whole table, with every mutant that is harmful and why."""
    lines = table(played(version))
    print(f"\nLiteLLM {version}", *lines, sep="\n")
    harmful = {one["mutant"]: harm(one) for one in played(version) if harm(one)}
    assert harmful == {}, json.dumps(harmful, indent=1, ensure_ascii=False)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_litellm_that_is_as_it_is_has_every_graft_in_force(version: str, played: Callable[[str], Played]) -> None:
    """Without this, a guard that stands aside everywhere would be the most harmless of all."""
    states = usual(played(version))
    assert {states["slots.seam"], states["tokens.gather"]} == {"in force"}


def test_each_graft_that_is_declared_has_a_mutant(tmp_path: Path) -> None:
    """Without this, what is grafted onto new ground would be harmless because nobody has changed that ground."""
    link_package(tmp_path)
    grown = {graft for version in (OLDEST, NEWEST) for graft in json.loads(_player(version, tmp_path, "--grafts")[-1])}
    assert {graft.name for graft in GRAFTS} - grown == set()


def test_at_least_two_hundred_mutants_make_sense(played: Callable[[str], Played], most: int | None) -> None:
    if most is not None:
        pytest.skip("a draw of them")
    assert sum(len(sensible(played(version))) for version in VERSIONS) >= 200


def usual(played: Played) -> dict[str, str]:
    plain = [one["guarded"]["states"] for one in played if one["mutant"].endswith("as it is")]
    return {graft: state for states in plain for graft, state in states.items()}


def sensible(played: Played) -> Played:
    return [one for one in played if "senseless" not in one and not one["mutant"].endswith("as it is")]


def table(played: Played) -> list[str]:
    """A row for each graft and each operator: how the guard took its mutants."""
    normal, rows = usual(played), defaultdict[str, Counter[str]](Counter)
    for one in sensible(played):
        taken = "harmful" if harm(one) else outcome(one, normal)
        for row in (f"graft {one['graft']}", f"operator {one['mutant'].partition(' by ')[2]}", "all"):
            rows[row][taken] += 1
    head = f"{'':40}" + "".join(f"{name:>12}" for name in OUTCOMES)
    return [head, *(f"{row:40}" + "".join(f"{rows[row][name]:12}" for name in OUTCOMES) for row in sorted(rows))]


if __name__ == "__main__":
    # What the player printed: the table, the harmful, and those that make no sense.
    lines = [json.loads(line) for line in Path(sys.argv[1]).read_text().splitlines() if line.startswith("{")]
    print(*table(lines), sep="\n")
    for one in lines:
        for what in [*harm(one), *([f"SENSELESS {one['senseless']}"] if "senseless" in one else [])]:
            print(f"{one['mutant']}: {what}")
