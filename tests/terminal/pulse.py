"""Asks a proxy twenty times a second whether it is alive, from a process that has nothing else to do.

A test that opens fifty clients at once is itself late by a second: it would measure its own loop.
"""

from __future__ import annotations

import http.client
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
PAUSE_SECONDS = 0.05
NEVER = 60.0
"""Said of an answer that did not come in that time, or that was not 200."""


@contextmanager
def pulse(url: str) -> Iterator[list[float]]:
    """The seconds that each answer took; filled when the block ends."""
    seconds: list[float] = []
    command = [sys.executable, "-m", "tests.terminal.pulse", url]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as asking:
        assert asking.stdout is not None
        assert asking.stdout.readline() == "asking\n"
        try:
            yield seconds
        finally:
            said, _ = asking.communicate("\n", timeout=2 * NEVER)
            seconds += [float(line) for line in said.split()]


def alive(url: str) -> float:
    began, at = time.monotonic(), urlsplit(url)
    connection = http.client.HTTPConnection(at.hostname or "", at.port, timeout=NEVER)
    try:
        connection.request("GET", "/health/liveliness")
        return time.monotonic() - began if connection.getresponse().status == 200 else NEVER
    except OSError:
        return NEVER
    finally:
        connection.close()


def main(url: str) -> None:
    import select

    print("asking", flush=True)
    while not select.select([sys.stdin], [], [], PAUSE_SECONDS)[0]:
        print(alive(url), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
