"""Try a LiteLLM that is newer than any tested: `python -m tests.latest [VERSION]`, and say what broke.

    python -m tests.latest                          facts, difference to LiteLLM alone, a short matrix on two workers
    python -m tests.latest 1.110.2 --full           the same with the whole matrix
    python -m tests.latest --harm                   red only where the guard is worse than LiteLLM alone (CI)
    python -m tests.latest --proven FILE            and note in FILE what was played and found
    python -m tests.latest --sweep FILE             the last patch of every minor from 1.80 on, as a table in FILE
    python -m tests.latest --keep FOLDER            and keep what the tests said there, and every difference as data

What it prints tells where to look: an expired fact names the adapter's ground, a cell its exit, and what the guard
itself has said in its log what stands aside there.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import subprocess
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree as ET

from litellm_cancel_guard.host import facts
from tests import sweep
from tests.harness import venvs, versions
from tests.matrix.play import CAP, Result

ROOT = Path(__file__).parents[1]
SUITES = {
    "facts": "tests/limiter/test_facts.py",
    "fallbacks": "tests/terminal/test_fallbacks.py",
    "difference": "tests/difference",
    "matrix": "tests/matrix",
}
# Each suite is asked for by its path; what needs packages of its own is not for every release.
_ALL_OF_THEM = ("-m", "not apm", "-p", "no:cacheprovider")


@dataclass(frozen=True)
class Failure:
    suite: str
    name: str
    why: str


@dataclass
class Verdict:
    """What was found on one LiteLLM.

    Attributes:
        ran: tests by suite.
        harm: where the guard is worse than LiteLLM alone, a line each.
        alone: the names of the tests that fail with LiteLLM alone, too.
        aside: what the guard's own log says is not in force there.
        uninstallable: why no environment could be built for it.
        broken: why nothing could be played.
    """

    number: str
    ran: dict[str, int] = field(default_factory=dict)
    failed: list[Failure] = field(default_factory=list)
    harm: list[str] = field(default_factory=list)
    alone: list[str] = field(default_factory=list)
    aside: list[str] = field(default_factory=list)
    uninstallable: str = ""
    broken: str = ""

    @property
    def result(self) -> str:
        if not self.ran:
            return "not played"
        own = [failure for failure in self.failed if failure.name not in self.alone]
        return "harmful" if self.harm else "in part" if own or self.aside else "whole"

    @property
    def held(self) -> dict[str, str]:
        """How many of its tests hold, by suite."""
        broke = Counter(failure.suite for failure in self.failed)
        return {suite: f"{ran - broke[suite]}/{ran}" for suite, ran in self.ran.items()}


def failures(report: Path) -> tuple[dict[str, int], list[Failure]]:
    """How many tests ran, by suite, and those that failed."""
    ran: dict[str, int] = {}
    failed: list[Failure] = []
    for case in ET.parse(report).iter("testcase"):
        suite = _suite_of(case.get("classname", ""))
        ran[suite] = ran.get(suite, 0) + 1
        faults = [fault for fault in case if fault.tag in ("failure", "error")]
        failed += [Failure(suite, case.get("name", ""), fault.get("message", "")[:300]) for fault in faults[:1]]
    return ran, failed


def _suite_of(classname: str) -> str:
    path = classname.replace(".", "/")
    return next((name for name, where in SUITES.items() if path.startswith(where.removesuffix(".py"))), classname)


def worse(cell: str, guarded: Result, bare: Result) -> str:
    """What the guard does worse in that cell than LiteLLM alone; empty where nothing."""
    found = [
        (guarded.fault and not bare.fault, guarded.fault),
        (abs(guarded.left) > abs(bare.left), f"{guarded.left:+d} left, alone {bare.left:+d}"),
        (_off(guarded) > _off(bare) and not bare.fault, f"{guarded.admitted} admitted, alone {bare.admitted}"),
        (len(guarded.lasting) > len(bare.lasting), f"keys that never expire: {guarded.lasting}"),
        (guarded.held > 0, f"{guarded.held} still in the registry"),
        (not guarded.seen and bare.seen, f"{guarded.in_redis} slots in Redis while one stream runs"),
    ]
    said = "; ".join(str(words) for wrong, words in found if wrong)
    return f"{cell}: {said}" if said else ""


def _off(result: Result) -> int:
    return abs(result.admitted - CAP)


def fact(number: str) -> str:
    """The fact of that number, in one line."""
    text = (facts.__doc__ or "").split(f"\n{number}. ")[1]
    return " ".join(text.split("\nF")[0].split())


def told(verdict: Verdict) -> str:
    """The report."""
    if verdict.result == "not played":
        return f"LiteLLM {verdict.number} could not be played:\n{verdict.uninstallable or verdict.broken}"
    expired = sorted({f.name.split("_")[1].upper() for f in verdict.failed if f.name.startswith("test_f")})
    others = [f for f in verdict.failed if not f.name.startswith("test_f")]
    ran = sum(verdict.ran.values())
    lines = [f"LiteLLM {verdict.number}: {ran - len(verdict.failed)} of {ran} hold; {verdict.result}."]
    lines += [f"  harm: {line}" for line in verdict.harm]
    lines += [f"  stands aside: {line}" for line in verdict.aside]
    lines += [f"  expired {name}: {fact(name)}" for name in expired]
    lines += [f"  {f.suite} {f.name}: {f.why}" for f in others]
    if verdict.result == "whole":
        lines.append(
            "Nothing broke: add it to tests/harness/versions.py, and docs/measured.md follows from the next run."
        )
    return "\n".join(lines)


def play(number: str, folder: Path, *, full: bool) -> Verdict:
    """All suites there are, with the guard; what is not right in the matrix also without it: harm is what is worse.

    Reports and logs are written to the folder.
    """
    verdict = Verdict(number)
    try:
        venvs.python_of(versions.named(number))
    except RuntimeError as fault:
        verdict.uninstallable = str(fault)[-4000:]
        return verdict
    suites = [path for path in SUITES.values() if (ROOT / path).exists()]
    short = () if full else ("--matrix-short",)
    report, guarded, aside = (folder / name for name in ("report.xml", "guarded.json", "aside.txt"))
    for left in (report, guarded, aside, folder / "again.json", folder / "bare.json"):
        left.unlink(missing_ok=True)
    kept = ("--matrix-json", guarded, f"--junitxml={report}", "--difference-json", folder / "difference.json")
    words = _pytest(number, *suites, *short, *kept, "--difference-again", "--aside", aside)
    (folder / "said.txt").write_text(words)
    if not report.exists() or not guarded.exists():
        verdict.broken = words[-4000:]
        return verdict
    verdict.ran, verdict.failed = failures(report)
    _judge_cells(verdict, _cells(guarded, number), folder)
    verdict.harm += [f"{f.name}: {f.why}" for f in verdict.failed if f.suite in ("difference", "fallbacks")]
    verdict.aside = aside.read_text().splitlines()
    return verdict


def _judge_cells(verdict: Verdict, played: dict[str, Result], folder: Path) -> None:
    """What is not right is played once more, for a busy machine, and without the guard: only what is worse is harm."""
    cells = {**played, **_again(verdict.number, _wrong(played), folder / "again.json")}
    wrong = _wrong(cells)
    bare = _again(verdict.number, wrong, folder / "bare.json", "--bare")
    verdict.harm = harm({cell: cells[cell] for cell in wrong}, bare)
    worse_ones = {line.split(": ")[0] for line in verdict.harm}
    verdict.alone = [_test_of(cell, verdict.number) for cell in wrong if cell not in worse_ones]
    chance = {_test_of(cell, verdict.number) for cell in played if cell not in wrong}
    verdict.failed = [failure for failure in verdict.failed if failure.name not in chance]


def _wrong(cells: dict[str, Result]) -> list[str]:
    """Those that could be better: LiteLLM alone can't do better than what is right."""
    return [cell for cell, result in cells.items() if worse(cell, result, Result(admitted=CAP))]


def _test_of(cell: str, number: str) -> str:
    return f"test_slots_come_back[{cell}-{number}]"


def _again(number: str, cells: list[str], path: Path, *flags: str) -> dict[str, Result]:
    if not cells:
        return {}
    tests = [f"{SUITES['matrix']}/test_matrix.py::{_test_of(cell, number)}" for cell in cells]
    _pytest(number, *tests, *flags, "--matrix-json", path)
    return _cells(path, number)


def _pytest(number: str, *arguments: str | Path) -> str:
    command = [sys.executable, "-m", "pytest", "-q", "--tb=short", *_ALL_OF_THEM, "--litellm", number]
    command += ["--matrix-workers", "2", *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    return done.stdout


def _cells(run: Path, number: str) -> dict[str, Result]:
    played = json.loads(run.read_text())["versions"] if run.exists() else {}
    return {name: Result(**result) for name, result in played.get(number, {}).items()}


def harm(guarded: dict[str, Result], bare: dict[str, Result]) -> list[str]:
    """A line for each cell in which the guard is worse; one that LiteLLM alone can't play is judged by itself."""
    alone = {cell: bare.get(cell, Result(admitted=CAP)) for cell in guarded}
    return [said for cell, result in guarded.items() if (said := worse(cell, result, alone[cell]))]


def write_proven(path: Path, verdict: Verdict, shape: str, *, full: bool) -> None:
    """Note in *path*, in the form of the package's `proven.json`, the limiter's *shape*, the day, and the result."""
    known = json.loads(path.read_text()) if path.exists() else {"played": {}, "withdrawn": {}}
    today = dt.datetime.now(tz=dt.timezone.utc).date().isoformat()
    right = bool(verdict.ran) and not verdict.harm
    noted = {"limiter": shape, "date": today, "played": "full" if full else "short", "right": right}
    played = {**known["played"], verdict.number: noted}
    known["played"] = dict(sorted(played.items(), key=lambda one: versions.Version(one[0]).release))
    path.write_text(json.dumps(known, indent=2) + "\n")


def shape_of(source: str) -> str:
    """The shape of LiteLLM's limiter by its source: between two shapes nothing is taken for proven."""
    if "parallel_slot_id" not in source:
        return "counting"
    return "slots in a store" if "self.rate_limits" in source else "slots"


def _limiter_of(number: str) -> str:
    library = venvs.python_of(versions.named(number)).parents[1] / "lib"
    return next(library.glob("python*/site-packages/litellm/proxy/hooks/parallel_request_limiter_v3.py")).read_text()


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.latest", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("version", nargs="?", help="another than the newest that installs; of a sweep, only this one")
    parser.add_argument("--full", action="store_true", help="play the whole matrix")
    parser.add_argument("--harm", action="store_true", help="fail only where the guard is worse than LiteLLM alone")
    parser.add_argument("--proven", type=Path, metavar="FILE", help="note the verdict there")
    parser.add_argument("--sweep", type=Path, metavar="FILE", help="the last patch of every minor, as a table")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="keep reports, logs and differences there")
    asked = parser.parse_args(arguments)

    def verdict_on(number: str) -> Verdict:
        print(f"LiteLLM {number}: the newest tested is {versions.VERSIONS[-1]}", flush=True)
        with tempfile.TemporaryDirectory() as temporary:
            folder = asked.keep / number if asked.keep else Path(temporary)
            folder.mkdir(parents=True, exist_ok=True)
            verdict = play(number, folder, full=asked.full)
        print(told(verdict), flush=True)
        return verdict

    if asked.sweep:
        return sweep.sweep(asked.sweep, [asked.version] if asked.version else [], verdict_on)
    verdict = verdict_on(asked.version or versions.newest_on_the_index())
    if asked.proven and verdict.ran:
        write_proven(asked.proven, verdict, shape_of(_limiter_of(verdict.number)), full=asked.full)
    if verdict.result == "not played":
        return 0 if asked.harm and verdict.uninstallable else 2
    return 1 if verdict.harm or (not asked.harm and verdict.result != "whole") else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
