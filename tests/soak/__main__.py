"""`python -m tests.soak --minutes 10 --litellm 1.83.14 [--line] [--seed N]`: exits with 1 if a promise was broken."""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import tempfile
from pathlib import Path

from tests.harness import venvs, versions
from tests.soak.line import Line
from tests.soak.run import Soak


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--litellm", required=True, help="one version, such as 1.83.14")
    parser.add_argument("--line", action="store_true", help="twenty agents in line, instead of storm and faults")
    parser.add_argument("--seed", type=int, default=random.randrange(2**32), help="repeats what clients and faults do")
    options = parser.parse_args()
    version = versions.named(options.litellm)
    python = venvs.build_all([version])[version].result()
    with tempfile.TemporaryDirectory(prefix="cancel-guard-soak-") as folder:
        soak = (Line if options.line else Soak)(version, python, Path(folder), options.seed)
        try:
            violations = asyncio.run(soak.run(options.minutes * 60))
        finally:
            soak.close()
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main())
