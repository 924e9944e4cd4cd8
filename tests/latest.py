"""Try a LiteLLM that is newer than any tested: `python -m tests.latest [VERSION]`, and say what broke.

Builds an environment for the newest LiteLLM that installs, asks it every fact of limiter/facts.py, and plays the
whole matrix on it. What it prints tells where to look: an expired fact names the adapter's ground, a cell its exit.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as ET

from litellm_cancel_guard.limiter import facts
from tests.harness import versions

SUITES = ("tests/limiter/test_facts.py", "tests/matrix")


@dataclass(frozen=True)
class Failure:
    name: str
    why: str


def failures(report: Path) -> tuple[int, list[Failure]]:
    """How many tests ran, and those that failed."""
    cases = list(ET.parse(report).iter("testcase"))
    failed = [(case, fault) for case in cases for fault in case if fault.tag in ("failure", "error")]
    return len(cases), [Failure(case.get("name", ""), fault.get("message", "")[:300]) for case, fault in failed]


def fact(number: str) -> str:
    """The fact of that number, in one line."""
    text = (facts.__doc__ or "").split(f"\n{number}. ")[1]
    return " ".join(text.split("\nF")[0].split())


def told(number: str, ran: int, failed: list[Failure]) -> str:
    """The report."""
    expired = sorted({f.name.split("_")[1].upper() for f in failed if f.name.startswith("test_f")})
    cells = [f for f in failed if f.name.startswith(("test_slots", "test_nothing"))]
    others = [f for f in failed if f.name.startswith("test_every")]
    lines = [f"LiteLLM {number}: {ran - len(failed)} of {ran} hold."]
    lines += [f"  expired {name}: {fact(name)}" for name in expired]
    lines += [f"  wrong {f.name.partition('[')[2].rstrip(']')}: {f.why}" for f in cells]
    lines += [f"  {f.name}: {f.why}" for f in others]
    if not failed and ran:
        lines.append(
            "Nothing broke: add it to tests/harness/versions.py, and the README's table follows from the next run."
        )
    return "\n".join(lines)


def main(arguments: list[str]) -> int:
    number = arguments[0] if arguments else versions.newest_on_the_index()
    print(f"LiteLLM {number}: the newest tested is {versions.VERSIONS[-1]}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        chosen = ["-m", "matrix or not matrix", "--litellm", number]
        command = [sys.executable, "-m", "pytest", *SUITES, *chosen, "-q", "--tb=no", f"--junitxml={report}"]
        done = subprocess.run(command, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if not report.exists():
            print(done.stdout[-4000:])
            return 2
        ran, failed = failures(report)
    print(told(number, ran, failed))
    return 1 if failed or not ran else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
