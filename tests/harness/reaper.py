"""Outlives a test session that is killed, to end what it started: `+pid` and `-pid` come by standard input.

A killed pytest runs no cleanup. Its end of the pipe closes, and the groups that are still on the list are ended.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys


def main() -> None:
    groups: set[int] = set()
    for line in sys.stdin:
        (groups.add if line[0] == "+" else groups.discard)(int(line[1:]))
    for group in groups:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(group, signal.SIGKILL)


if __name__ == "__main__":
    main()
