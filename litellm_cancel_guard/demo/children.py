"""Processes that end with the demo, however it ends."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

# A demo that is killed with -9 runs no cleanup: its end of the pipe closes, and the child takes its group along.
_FOLLOWING = """
import os, runpy, signal, sys, threading
def follow():
    os.read(0, 1)
    os.killpg(os.getpgrp(), signal.SIGKILL)
threading.Thread(target=follow, daemon=True).start()
target = sys.argv[1]
del sys.argv[1]
run = runpy.run_path if target.endswith(".py") else runpy.run_module
run(target, run_name="__main__")
"""
# What a user's shell sets for another proxy (DATABASE_URL, REDIS_HOST, LITELLM_*) must not reach this one.
_PASSED_ON = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "VIRTUAL_ENV", "LD_LIBRARY_PATH", "PYTHONPATH", "USER")


class DemoError(Exception):
    """The demo can't go on; the message is for the user."""


@dataclass(frozen=True, slots=True)
class Child:
    """A process in a group of its own.

    Attributes:
        name: as the user reads it.
        process: the group's leader.
        log: what it printed.
    """

    name: str
    process: subprocess.Popen[bytes]
    log: Path

    def check(self) -> None:
        """Raise with the end of the log if the process is gone."""
        code = self.process.poll()
        if code is not None:
            raise DemoError(f"{self.name} ended with code {code}. The end of its log:\n{self.tail()}")

    def tail(self, lines: int = 12) -> str:
        """Return the last lines of the log."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def end(self) -> None:
        """Kill the whole group, and wait until the leader is gone."""
        # SIGKILL at once: nothing in a demo is worth saving, and a second Ctrl-C finds no grace period to interrupt.
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        if self.process.stdin:
            self.process.stdin.close()


@contextmanager
def command(name: str, argv: Sequence[str], *, log: Path, env: Mapping[str, str], cwd: Path) -> Iterator[Child]:
    """Run `argv` in a group of its own, and end the group with the block."""
    with log.open("ab") as output:
        process = subprocess.Popen(  # noqa: S603
            list(argv),
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=dict(env),
            cwd=cwd,
            start_new_session=True,
        )
    child = Child(name, process, log)
    try:
        yield child
    finally:
        child.end()


@contextmanager
def python(  # noqa: PLR0913
    name: str,
    target: str,
    args: Sequence[str] = (),
    *,
    folder: Path,
    executable: str = sys.executable,
    env: Mapping[str, str] | None = None,
) -> Iterator[Child]:
    """Run a module, or a file if `target` ends in .py, in `folder`; its log is written beside `folder`."""
    folder.mkdir(exist_ok=True)
    argv = [executable, "-c", _FOLLOWING, target, *args]
    log = folder.parent / f"{folder.name}.log"
    with command(name, argv, log=log, env=environment() | dict(env or {}), cwd=folder) as child:
        yield child


def environment() -> dict[str, str]:
    """Return the few variables that a child inherits."""
    kept = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    return kept | {"PYTHONUNBUFFERED": "1", "NO_PROXY": "*"}


def free_port() -> int:
    """Return a loopback port that nobody listens on now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
    return port
