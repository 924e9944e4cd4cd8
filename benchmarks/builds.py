"""What this build's scripts cost Redis, beside those of another commit: `python -m benchmarks.builds COMMIT`.

Both ask the same redis-server, in turns; in the table, `bare` is the other commit and `guard` this build. Counted are
the commands that Redis ran, EVALSHA and those inside scripts; measured is the CPU time of its main thread. What no
build can save is there too: the same calls by scripts that do nothing.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import subprocess
import sys
import tarfile
import tempfile
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from benchmarks import report
from benchmarks.figures import Figure, Results, one, ratio
from benchmarks.light import LightClient, encoded
from benchmarks.machine import cores, described, pinned
from tests.harness.redis_server import RedisServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from benchmarks.machine import Cores
    from benchmarks.stage import Plan, Stage

    Measured = tuple[float, float]

NAME = "builds"
_ROOT = Path(__file__).parents[1]
_CLIENTS, _PIPELINED = 32, 20
_AT_REST, _IN_FLIGHT = "key at rest", "three others in flight"
_LAYOUTS = ("slots", "counted")
BEFORE = "d11b472"
"""The last commit before the scripts did only what changes the answer."""


class Asked:
    """A Redis that is asked by light clients, and says what that took it."""

    def __init__(self, port: int, client: Any) -> None:
        self._client = client
        self._clients = [LightClient(port) for _ in range(_CLIENTS)]

    def knows(self, calls: list[list[Any]]) -> list[bytes]:
        """Have Redis know the scripts of *calls*; return these as they are sent."""
        for text in {call[0] for call in calls}:
            self._client.script_load(text)
        return [encoded("EVALSHA", *call[1:]) for call in calls]

    def empty(self, *before: list[bytes]) -> None:
        """Forget everything, and then do what comes before."""
        self._client.flushall()
        for commands in before:
            self.pipelined(commands)

    def cost(self, ask: Callable[[list[bytes]], None], commands: list[bytes], per: int) -> Measured:
        """Return the main thread's microseconds and the commands run, of each of so many."""
        self._client.config_resetstat()
        before = self._cpu()
        ask(commands)
        micro = (self._cpu() - before) * 1e6
        done = self._client.info("commandstats")
        run = sum(int(stat["calls"]) for name, stat in done.items() if "|" not in name and name != "cmdstat_info")
        return micro / per, run / per

    def alone(self, commands: list[bytes]) -> None:
        for command in commands:
            self._clients[0].send([command])
            self._clients[0].wait(1)

    def at_once(self, commands: list[bytes]) -> None:
        for start in range(0, len(commands), _CLIENTS):
            asked = list(zip(self._clients, commands[start : start + _CLIENTS], strict=False))
            for client, command in asked:
                client.send([command])
            for client, _ in asked:
                client.wait(1)

    def pipelined(self, commands: list[bytes]) -> None:
        for start in range(0, len(commands), _PIPELINED):
            some = commands[start : start + _PIPELINED]
            self._clients[0].send(some)
            self._clients[0].wait(len(some))

    def close(self) -> None:
        for client in self._clients:
            client.close()

    def _cpu(self) -> float:
        said = self._client.info("cpu")
        return float(said["used_cpu_user_main_thread"]) + float(said["used_cpu_sys_main_thread"])


def _calls_of(tree: Path) -> dict[str, Any]:
    env = {**os.environ, "PYTHONPATH": str(tree)}
    calls = [sys.executable, str(Path(__file__).with_name("builds_calls.py"))]
    said: dict[str, Any] = json.loads(subprocess.run(calls, env=env, cwd=tree, capture_output=True, check=True).stdout)
    return said


def _idle(found: dict[str, Any]) -> dict[str, Any]:
    """The same calls by a script that does nothing."""
    nothing = "return 0"
    sha = hashlib.sha1(nothing.encode(), usedforsecurity=False).hexdigest()
    return {**found, "pairs": [[[nothing, sha, *call[2:]] for call in pair] for pair in found["pairs"]]}


def _in_order(pairs: list[list[bytes]], width: int) -> list[bytes]:
    """So many acquires and then their releases, and so on."""
    blocks = [pairs[start : start + width] for start in range(0, len(pairs), width)]
    return [pair[step] for block in blocks for step in (0, 1) for pair in block]


def _requests(
    asked: Asked, builds: dict[str, dict[str, Any]], layout: str, rounds: int, states: Sequence[str]
) -> Iterator[Figure]:
    sent = {}
    for build, found in builds.items():
        flat = asked.knows([call for pair in found["pairs"] for call in pair])
        sent[build] = [flat[at : at + 2] for at in range(0, len(flat), 2)]
    others = {build: asked.knows(found["others"]) for build, found in builds.items()}
    ways = {
        f"{_CLIENTS} clients at once": (asked.at_once, _CLIENTS),
        "pipelined": (asked.pipelined, 1),
        "one client alone": (asked.alone, 1),
    }
    for state in states:
        before = others if state == _IN_FLIGHT else {}
        for way, (ask, width) in ways.items():
            found = _rounds(
                asked, {build: _in_order(pairs, width) for build, pairs in sent.items()}, before, ask, rounds
            )
            about = f"acquire + release, {layout}, {state}"
            costs = {build: [cost for cost, _ in costs] for build, costs in found.items()}
            for build in ("this", "nothing"):
                what = f"Redis' core, {about}, {way}" + (": scripts that do nothing" if build == "nothing" else "")
                yield ratio(NAME, what, list(zip(costs["that"], costs[build], strict=True)))
        counts = {build: costs[-1][1] for build, costs in found.items()}
        yield one(
            NAME,
            f"commands run, {about}",
            "",
            counts["this"],
            bare=counts["that"],
            guarded=counts["this"],
        )


def _rounds(
    asked: Asked,
    sent: dict[str, list[bytes]],
    before: dict[str, list[bytes]],
    ask: Callable[[list[bytes]], None],
    rounds: int,
) -> dict[str, list[Measured]]:
    found: dict[str, list[Measured]] = {build: [] for build in sent}
    for turn in range(rounds):
        for build in list(sent) if turn % 2 else reversed(sent):
            asked.empty(before.get(build, []))
            found[build].append(asked.cost(ask, sent[build], len(sent[build]) // 2))
    return found


def _renewals(asked: Asked, builds: dict[str, dict[str, Any]], layout: str, rounds: int) -> Iterator[Figure]:
    for per_key in ("1", "10"):
        costs: dict[str, list[Measured]] = {"that": [], "this": []}
        for turn in range(rounds):
            for build in ("this", "that") if turn % 2 else ("that", "this"):
                found = builds[build]["renewals"][per_key]
                asked.empty(asked.knows(found["held"]))
                beats = asked.knows(found["beats"])
                costs[build].append(asked.cost(asked.pipelined, beats, builds[build]["renewed"]))
        about = f"renewal of a slot, {per_key} per key, {layout}"
        pairs = [(that, this) for (that, _), (this, _) in zip(costs["that"], costs["this"], strict=True)]
        yield ratio(NAME, f"Redis' core, {about}", pairs)
        that, this = (costs[build][-1][1] for build in ("that", "this"))
        yield one(NAME, f"commands run, {about}", "", this, bare=that, guarded=this)


@contextmanager
def _tree(commit: str) -> Iterator[Path]:
    """The package as it was in *commit*."""
    packed = subprocess.run(
        ["git", "archive", commit, "litellm_cancel_guard"], cwd=_ROOT, capture_output=True, check=True
    ).stdout
    with tempfile.TemporaryDirectory(prefix="build-") as folder, tarfile.open(fileobj=io.BytesIO(packed)) as tar:
        tar.extractall(folder, filter="data")
        yield Path(folder)


def compared(
    commit: str, rounds: int, folder: Path, where: Cores, states: Sequence[str] = (_AT_REST, _IN_FLIGHT)
) -> Results:
    """Return the ratios of this build to that of the commit, with a redis-server on the measured core."""
    with _tree(commit) as tree:
        that, this = _calls_of(tree), _calls_of(_ROOT)
    results = Results()
    with pinned(where.measured):
        redis = RedisServer(folder)
    with pinned(where.others):
        asked = Asked(redis.port, redis.client)
        for layout in _LAYOUTS:
            builds = {"that": that[layout], "this": this[layout]}
            of_requests = partial(_requests, asked, {**builds, "nothing": _idle(this[layout])})
            results.figures += of_requests(layout, rounds, states)
            results.figures += _renewals(asked, builds, layout, rounds)
        asked.close()
    redis.close()
    return results


def measure(stage: Stage, plan: Plan) -> Results:
    """Return the same beside the build that the targets speak of, where this checkout has it."""
    known = subprocess.run(["git", "cat-file", "-e", BEFORE], cwd=_ROOT, capture_output=True, check=False)
    if known.returncode:
        return Results(amiss=[f"{NAME}: no git checkout here that has {BEFORE}, which the targets compare with"])
    folder = stage.folder / NAME
    folder.mkdir()
    states = plan.pick((_AT_REST, _IN_FLIGHT), (_IN_FLIGHT,))
    return compared(BEFORE, plan.pick(9, 5), folder, stage.cores, states)


@click.command()
@click.argument("commit")
@click.option("--rounds", default=9, show_default=True, help="How often each build is asked.")
@click.option("--json", "json_path", type=click.Path(path_type=Path), help="Write all figures there.")
def main(commit: str, rounds: int, json_path: Path | None) -> None:
    """Measure what this build's scripts cost Redis beside those of COMMIT."""
    with tempfile.TemporaryDirectory(prefix="benchmarks-") as folder:
        results = compared(commit, rounds, Path(folder), cores())
    about = {**described(), "beside": commit}
    report.show(results, about)
    if json_path is not None:
        report.save(results, about, json_path)


if __name__ == "__main__":
    main()
