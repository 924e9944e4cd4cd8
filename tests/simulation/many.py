"""Play schedules by the thousand: `python -m tests.simulation.many`, and say which of them failed.

    python -m tests.simulation.many                                 the line's, for ten minutes, on one core
    python -m tests.simulation.many --schedules 100000 --from 5000  so many, of the seeds from there on
    python -m tests.simulation.many --of slots                      those without a line

A schedule is one test with one seed. Which seeds those are that failed is said at the end, and then it exits 1.
"""

from __future__ import annotations

import argparse
import io
import itertools
import sys
import time
import traceback
from contextlib import redirect_stdout
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from tests.simulation import test_line_schedules, test_schedules
from tests.simulation.schedules import by_seed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# What `pytest` itself plays are the seeds below.
FIRST = 1000
EVERY_SECONDS = 60

Test = Any


def tests_of(name: str) -> tuple[list[Test], Callable[..., Any]]:
    """The tests of that kind, and what has their simulations by seeds."""
    module = test_line_schedules if name == "line" else test_schedules
    found = [test for said, test in vars(module).items() if said.startswith("test_")]
    return found, test_line_schedules.lined if name == "line" else by_seed


def failure(test: Test, simulations: Callable[..., Any], seed: int) -> str:
    """Why that schedule failed; empty where it did not."""
    try:
        with pytest.MonkeyPatch.context() as patch, redirect_stdout(io.StringIO()):
            test(partial(simulations, range(seed, seed + 1), patch))
    except Exception:
        return f"{test.__name__}, seed {seed}:\n{traceback.format_exc()}"
    return ""


def schedules(name: str, first: int) -> Iterator[Callable[[], str]]:
    tests, simulations = tests_of(name)
    for seed in itertools.count(first):
        for test in tests:
            yield partial(failure, test, simulations, seed)


def play(args: argparse.Namespace) -> list[str]:
    """Play until time or number is up; return what failed."""
    failed: list[str] = []
    began = said = time.monotonic()
    played = 0
    for schedule in schedules(args.of, args.first):
        if played >= args.schedules if args.schedules else time.monotonic() - began >= args.seconds:
            break
        if why := schedule():
            failed.append(why)
            print(why, flush=True)
        played += 1
        if time.monotonic() - said >= EVERY_SECONDS:
            said = time.monotonic()
            print(f"{played} schedules in {said - began:.0f} s, {len(failed)} failed", flush=True)
    print(f"{played} schedules in {time.monotonic() - began:.0f} s, {len(failed)} failed")
    return failed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--of", choices=("line", "slots"), default="line")
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--schedules", type=int, help="instead of seconds")
    parser.add_argument("--from", type=int, default=FIRST, dest="first", metavar="SEED")
    sys.exit(bool(play(parser.parse_args())))


if __name__ == "__main__":
    main()
