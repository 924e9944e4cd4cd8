"""One run of an agent: a fresh HOME, an environment of its own, and no network but the way to the proxy."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING

from tests.agents import bridge, installed
from tests.harness.programs import required

if TYPE_CHECKING:
    from tests.agents.agents import Agent
    from tests.agents.bridge import Refusals
    from tests.harness.keys import Key
    from tests.harness.provider.script import Script
    from tests.harness.proxy import Proxy


@dataclass
class Ran:
    """How an agent ended; 124: not in its time."""

    code: int
    said: str
    """Its standard output, but for its frame."""
    beside: str
    """Its standard error."""

    def __str__(self) -> str:
        return f"exit {self.code}\n--- stdout\n{self.said}\n--- stderr\n{self.beside}"


async def ran(
    agent: Agent, program: Path, proxy: Proxy, *, key: Key, script: Script, refusals: Refusals, more: int = 0
) -> Ran:
    """Ask the agent once, and wait until it ends, at most for its time and *more* seconds."""
    # Below /tmp, as a Unix socket's path has at most 107 bytes.
    with tempfile.TemporaryDirectory(prefix="agent-") as temporary:
        folder = Path(temporary)
        said = {"url": proxy.url, "key": key.secret, "prompt": f"Say what you have to say. {script}"}
        env = _settled_in(agent, folder, said) | (agent.impatient if _always_fails(script) else {})
        way = str(folder / "way")
        command = [required("unshare", "util-linux"), "-rn"]
        seconds = str(agent.seconds + more)
        command += [sys.executable, bridge.__file__, way, str(proxy.port), seconds, str(program)]
        command += [Template(argument).substitute(said) for argument in agent.arguments]
        async with bridge.led_out(way, proxy.port, refusals):
            pipe = asyncio.subprocess.PIPE
            running = await asyncio.create_subprocess_exec(
                *command, env=env, cwd=folder / "work", stdin=asyncio.subprocess.DEVNULL, stdout=pipe, stderr=pipe
            )
            try:
                answer, beside = await running.communicate()
            finally:
                await _end(running)
        assert running.returncode is not None
        return Ran(running.returncode, re.sub(agent.frame, "", answer.decode()), beside.decode())


async def _end(running: asyncio.subprocess.Process) -> None:
    """By Ctrl-C, at which the bridge ends the agent: that leads a session of its own, and would outlive a kill."""
    if running.returncode is not None:
        return
    with suppress(ProcessLookupError):
        running.send_signal(signal.SIGINT)
        try:
            await asyncio.wait_for(running.wait(), 10)
        except asyncio.TimeoutError:
            running.kill()


def _always_fails(script: Script) -> bool:
    return not script.fail_first and (script.status != 0 or script.error_step >= 0 or script.break_step >= 0)


def _settled_in(agent: Agent, folder: Path, said: dict[str, str]) -> dict[str, str]:
    """Write what lies in its HOME; returns its whole environment."""
    home = folder / "home"
    for made in (home, folder / "work"):
        made.mkdir()
    for name, text in agent.files.items():
        file = home / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(Template(text).substitute(said))
    path = os.pathsep.join((str(installed.node()), "/usr/local/bin", "/usr/bin", "/bin"))
    usual = {"HOME": str(home), "PATH": path, "TMPDIR": str(folder), "NO_PROXY": "*", "TERM": "dumb", "CI": "1"}
    return usual | {name: Template(value).substitute(said) for name, value in agent.env.items()}
