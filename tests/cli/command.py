"""The command line in a process of its own, as a user runs it."""

from __future__ import annotations

import atexit
import json
import os
import pty
import select
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import litellm_cancel_guard
from tests.harness.forking import Seedling

if TYPE_CHECKING:
    from collections.abc import Mapping

COMMAND = (sys.executable, "-m", "litellm_cancel_guard")
_PACKAGE = Path(litellm_cancel_guard.__file__).parent
_COMMANDS = "litellm_cancel_guard.operator.commands"
_AHEAD = ("redis.asyncio", *(f"{_COMMANDS}.{name}" for name in ("slots", "doctor", "in_force", "kill", "why", "stats")))
Finished = subprocess.CompletedProcess[str]


def environ(more: Mapping[str, str] | None = None) -> dict[str, str]:
    """What the tests' own environment passes on, without what would reach another LiteLLM or Redis."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("LITELLM_", "REDIS_"))}
    return kept | {"COLUMNS": "100"} | dict(more or {})


def started(*args: str | Path, env: Mapping[str, str] | None = None, timeout: float = 60) -> Finished:
    """As a user does, Python's own start included."""
    argv = [*COMMAND, *map(str, args)]
    return subprocess.run(argv, env=environ(env), capture_output=True, text=True, timeout=timeout, check=False)


def guard(*args: str | Path, env: Mapping[str, str] | None = None, timeout: float = 60) -> Finished:
    """The same in a process that is forked: a start costs half a second of CPU, and the tests have hundreds."""
    argv = [str(_PACKAGE / "__main__.py"), *map(str, args)]
    with tempfile.TemporaryDirectory(prefix="command-") as name:
        out, err = Path(name, "out"), Path(name, "err")
        child = _seedling().fork(argv, env=environ(env), folder=Path.cwd(), log=err, out=str(out), first="")
        try:
            code = child.wait(timeout)
        except subprocess.TimeoutExpired:
            with suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
            raise
        return Finished(argv, code, out.read_text(), err.read_text())


# What is imported ahead reads the environment once, for every test: none that the test which comes first has patched.
_AT_COLLECTION = environ({"PYTHONPATH": str(_PACKAGE.parent)})


@cache
def _seedling() -> Seedling:
    folder = tempfile.TemporaryDirectory(prefix="commands-")
    atexit.register(folder.cleanup)
    return Seedling(sys.executable, _AT_COLLECTION, Path(folder.name), _AHEAD)


def asked(*args: str | Path, code: int = 0, env: Mapping[str, str] | None = None) -> Any:
    """Return what a command says to a script."""
    done = guard(*args, "--json", env=env)
    assert done.returncode == code, done
    return json.loads(done.stdout)


class Watching:
    """A command that goes on, on a terminal of its own."""

    def __init__(self, *args: str | Path) -> None:
        self._screen, terminal = pty.openpty()
        argv = [*COMMAND, *map(str, args)]
        self._process = subprocess.Popen(
            argv, env=environ({"TERM": "xterm"}), stdin=terminal, stdout=terminal, stderr=terminal, close_fds=True
        )
        os.close(terminal)
        self._read = ""

    def close(self) -> None:
        self._process.kill()
        self._process.wait(10)
        os.close(self._screen)

    def until(self, text: str, within: float = 30) -> None:
        """Read on until it is there; what came before is not looked at again."""
        deadline = time.monotonic() + within
        while text not in self._read:
            left = deadline - time.monotonic()
            assert left > 0, f"not shown within {within:g} s: {text}; last: {self._read[-2000:]}"
            if select.select([self._screen], [], [], left)[0]:
                self._read += os.read(self._screen, 65536).decode(errors="replace")
        self._read = self._read.partition(text)[2]

    def interrupted(self) -> int:
        """The exit code after Ctrl-C."""
        self._process.send_signal(signal.SIGINT)
        return self._process.wait(60)


def python(code: str, *args: str | Path, cwd: Path, env: Mapping[str, str] | None = None) -> Finished:
    argv = [sys.executable, "-c", code, *map(str, args)]
    return subprocess.run(argv, cwd=cwd, env=environ(env), capture_output=True, text=True, timeout=90, check=False)


def pretend_litellm(version: str, folder: Path) -> dict[str, str]:
    """Return an environment in which LiteLLM's metadata says another version."""
    described = folder / "pretended" / "litellm-0.dist-info"
    described.mkdir(parents=True)
    (described / "METADATA").write_text(f"Metadata-Version: 2.1\nName: litellm\nVersion: {version}\n")
    return {"PYTHONPATH": str(described.parent)}


def assert_one_clear_message(finished: Finished, *words: str, code: int = 2) -> None:
    assert finished.returncode == code, finished
    assert finished.stderr.startswith("Error: "), finished
    assert "Traceback" not in finished.stderr
    assert len(finished.stderr.splitlines()) == 1, finished.stderr
    for word in words:
        assert word in finished.stderr
