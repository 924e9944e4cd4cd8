"""Child processes of a test session: each in a process group of its own, with its output kept in a file.

However the session ends, they end with it: where it runs no more code, the reaper does it.
"""

from __future__ import annotations

import atexit
import fcntl
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import deque
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from tests.harness.forking import Seedling

LOOPBACK = "127.0.0.1"


# Those that were handed out last: by then the others are bound.
_KEPT = 64
_reserved: deque[IO[bytes]] = deque()


def free_port() -> int:
    """A port below the ephemeral range, so that no outgoing connection takes it before the server does.

    Nor does another session of tests, which would find it free until the server has been started.
    """
    while True:
        port = random.randint(15000, 31000)
        if (reserved := _reservation(port)) is None:
            continue
        with socket.socket() as probe:
            try:
                probe.bind((LOOPBACK, port))
            except OSError:
                reserved.close()
                continue
        _reserved.append(reserved)
        if len(_reserved) > _KEPT:
            _reserved.popleft().close()
        return port


def _reservation(port: int) -> IO[bytes] | None:
    folder = Path(tempfile.gettempdir()) / f"cancel-guard-ports-{os.getuid()}"
    folder.mkdir(exist_ok=True)
    reserved = (folder / str(port)).open("ab")
    try:
        fcntl.flock(reserved, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        reserved.close()
        return None
    return reserved


class Process:
    """One program and whatever it starts; ended as a group, by id, at the latest when the session ends."""

    running: list[Process] = []  # noqa: RUF012 -- shared on purpose: reports show every log, exit ends every process

    def __init__(
        self,
        name: str,
        argv: Sequence[str],
        *,
        env: Mapping[str, str],
        folder: Path,
        seedling: Seedling | None = None,
    ) -> None:
        self.name = name
        self.log = folder / f"{name}.log"
        self._child = (
            seedling.fork(argv[1:], env=env, folder=folder, log=self.log)
            if seedling
            else self._start(argv, env, folder)
        )
        self.pid = self._child.pid
        Process.running.append(self)
        _tell_the_reaper(f"+{self.pid}")

    def _start(self, argv: Sequence[str], env: Mapping[str, str], folder: Path) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as output:
            return subprocess.Popen(
                list(argv),
                env=dict(env),
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def alive(self) -> bool:
        return self._child.poll() is None

    def text(self, start: int = 0) -> str:
        with self.log.open("rb") as log:
            log.seek(start)
            return log.read().decode(errors="replace")

    def signal(self, number: signal.Signals) -> None:
        """Send to the whole group, whose id is the pid of the child that leads it."""
        try:
            os.killpg(self.pid, number)
        except ProcessLookupError:
            return

    def stop(self, within: float = 5) -> int:
        """End it politely, then not; returns its exit status."""
        self.signal(signal.SIGTERM)
        try:
            self._child.wait(within)
        except subprocess.TimeoutExpired:
            return self.kill()
        return self._forget()

    def kill(self) -> int:
        self.signal(signal.SIGKILL)
        self._child.wait(10)
        return self._forget()

    def _forget(self) -> int:
        assert self._child.returncode is not None
        # A worker that outlived its master would hold the port and the memory of the next proxy.
        self.signal(signal.SIGKILL)
        _tell_the_reaper(f"-{self.pid}")
        if self in Process.running:
            Process.running.remove(self)
        return self._child.returncode

    def wait_ready(self, ready: Callable[[], bool], within: float) -> None:
        """Poll until `ready`; a process that dies or dawdles raises with its log."""
        deadline = time.monotonic() + within
        while not ready():
            if not self.alive or time.monotonic() > deadline:
                state = "did not become ready" if self.alive else "ended"
                self._say_where_it_stands()
                self.kill()
                raise RuntimeError(f"{self.name} {state} within {within:g} s; its log:\n{self.text()[-10000:]}")
            time.sleep(0.05)

    def _say_where_it_stands(self) -> None:
        """Have Python's faulthandler write every thread's stack to the log, where it is on; the process ends by it."""
        self.signal(signal.SIGABRT)
        with suppress(subprocess.TimeoutExpired):
            self._child.wait(2)


@cache
def _reaper() -> subprocess.Popen[bytes]:
    command = [sys.executable, str(Path(__file__).with_name("reaper.py"))]
    return subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, start_new_session=True, bufsize=0
    )


def _tell_the_reaper(line: str) -> None:
    pipe = _reaper().stdin
    assert pipe is not None
    pipe.write(f"{line}\n".encode())


@atexit.register
def _end_all() -> None:
    for process in list(Process.running):
        process.kill()
