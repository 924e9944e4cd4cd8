"""Programs forked from a process that has imported what they need: what a start costs is paid once.

For proxies that is LiteLLM, once for each version; for the command line its own modules.
"""

from __future__ import annotations

import json
import os
import subprocess
import threading
import time
from collections import OrderedDict
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_SOURCE = Path(__file__).with_name("seedling.py")
# What each proxy has of its own, and what is read when it serves, not by an import: the guard's settings, LiteLLM's
# leave to start a tool's server (1.109, mcp_server/stdio_gate.py), and how long its server's end takes.
_READ_LATER = ("HOME", "PYTHONPATH", "CANCEL_GUARD_", "LITELLM_ENABLE_MCP_STDIO", "GRACEFUL_SHUTDOWN_TIMEOUT")


class Forked:
    """A child of a seedling, as `subprocess.Popen` shows its own."""

    def __init__(self, seedling: Seedling, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._seedling = seedling

    def poll(self) -> int | None:
        if self.returncode is None:
            status = self._seedling.ask(wait=self.pid)
            self.returncode = None if status is None else os.waitstatus_to_exitcode(status)
        return self.returncode

    def wait(self, timeout: float) -> int:
        """Return how it ended.

        Raises:
            subprocess.TimeoutExpired: it still runs.
        """
        deadline = time.monotonic() + timeout
        while (code := self.poll()) is None:
            if time.monotonic() > deadline:
                raise subprocess.TimeoutExpired("a forked program", timeout)
            time.sleep(0.01)
        return code


class Seedling:
    """One Python that has LiteLLM imported, or the modules *ahead*, in an environment like that of what is to come."""

    living: ClassVar[list[Seedling]] = []

    def __init__(
        self, python: str, env: Mapping[str, str], folder: Path, ahead: Sequence[str] = (), *, thaws: bool = False
    ) -> None:
        self.living.append(self)
        self._thaws = thaws
        self._lock = threading.RLock()
        self._children: list[Forked] = []
        self.log = folder / "seedling.log"
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [python, "-c", _SOURCE.read_text(), *ahead],
                env=dict(env),
                cwd=folder,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                bufsize=1,
                start_new_session=True,
            )
        self._read()

    def fork(self, argv: Sequence[str], *, env: Mapping[str, str], folder: Path, log: Path, **more: Any) -> Forked:
        """*more* is what else an order may have: see `seedling`."""
        given = {"argv": list(argv), "env": dict(env), "cwd": str(folder), "log": str(log), "thaw": self._thaws, **more}
        with self._lock:
            self._children = [child for child in self._children if child.poll() is None]
            self._children.append(Forked(self, self.ask(fork=given)))
            return self._children[-1]

    @property
    def idle(self) -> bool:
        """Whether all that it has forked has ended."""
        return all(child.poll() is not None for child in self._children)

    def ask(self, **order: Any) -> Any:
        with self._lock:
            assert self._process.stdin is not None
            self._process.stdin.write(f"{json.dumps(order)}\n")
            return self._read()

    def end(self) -> None:
        """Its proxies end before it: nobody else could tell how they ended."""
        self._process.kill()
        self._process.communicate()
        if self in self.living:
            self.living.remove(self)

    def _read(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"what is to be forked can't be imported; the log:\n{self.log.read_text()[-6000:]}")
        return json.loads(line)


class Seedbed:
    """The seedlings of a session, by Python and environment; above so many, those that are idle are ended.

    Where it *thaws*, what is forked costs the collector what it costs in production; without, seconds less.
    """

    AT_ONCE = 5

    def __init__(self, *, thaws: bool = False) -> None:
        self._thaws = thaws
        self._growing: OrderedDict[tuple[Any, ...], Seedling] = OrderedDict()

    def of(self, python: str, env: Mapping[str, str], libraries: str, folder: Path) -> Seedling:
        """The one for such proxies; *libraries* is what they find besides their own on PYTHONPATH."""
        read = {name: value for name, value in env.items() if not name.startswith(_READ_LATER)}
        kind = (python, libraries, *sorted(read.items()))
        if kind not in self._growing:
            self._end_idle()
            env = {**read, "HOME": str(folder), "PYTHONPATH": libraries}
            self._growing[kind] = Seedling(python, env, folder, thaws=self._thaws)
        self._growing.move_to_end(kind)
        return self._growing[kind]

    def _end_idle(self) -> None:
        idle = [kind for kind, seedling in self._growing.items() if seedling.idle]
        for kind in idle[: max(0, len(self._growing) + 1 - self.AT_ONCE)]:
            self._growing.pop(kind).end()

    def end(self) -> None:
        while self._growing:
            self._growing.popitem()[1].end()
