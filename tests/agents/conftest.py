"""Agents are installed before the first test: a cold cache must not use up a test's time limit."""

from __future__ import annotations

import subprocess
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import pytest_asyncio

from tests.agents import installed
from tests.agents.agents import AGENTS, GEMINI, Agent
from tests.agents.bridge import Refusals
from tests.agents.play import ran
from tests.harness.clients import Caller
from tests.harness.programs import lacking, required
from tests.harness.provider.handle import Control

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine
    from pathlib import Path

    from tests.agents.play import Ran
    from tests.harness.config import Setup
    from tests.harness.keys import Key
    from tests.harness.provider.handle import Provider
    from tests.harness.provider.script import Script
    from tests.harness.proxy import Proxy
    from tests.harness.versions import Version

    Ask = Callable[..., Coroutine[Any, Any, Ran]]

INSTALLED: pytest.StashKey[dict[Agent, Future[Path]]] = pytest.StashKey()


def pytest_collection_finish(session: pytest.Session) -> None:
    specs = [spec for item in session.items if (spec := getattr(item, "callspec", None))]
    asked = {spec.params["agent"] for spec in specs if "agent" in spec.params}
    if asked and not session.config.getoption("collectonly"):
        with ThreadPoolExecutor(max_workers=2) as pool:
            session.config.stash[INSTALLED] = {agent: pool.submit(installed.program_of, agent) for agent in asked}


@pytest.fixture(scope="session")
def namespaces() -> None:
    """An agent has no network but the way to the proxy: nothing of a run may depend on anybody's server."""
    unshare = required("unshare", "util-linux")
    done = subprocess.run([unshare, "-rn", "true"], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"no agent is run, as a network namespace is not allowed here: {done.stderr.strip()}")


@pytest.fixture
def setup(setup: Setup) -> Setup:
    """A proxy on which a request may be held for longer than it takes a busy machine to start an agent."""
    return replace(setup, settings="litellm_settings: {request_timeout: 600}")


@pytest_asyncio.fixture
async def patient(proxy: Proxy, provider: Provider) -> AsyncIterator[Caller]:
    """A user of that proxy who waits as long for an answer."""
    async with httpx.AsyncClient(timeout=600, trust_env=False) as http:
        caller = Caller(proxy, Control(provider, http), http)
        yield caller
        await caller.let_go()


@pytest.fixture
def ask(pytestconfig: pytest.Config, namespaces: None, proxy: Proxy) -> Ask:
    """Runs an agent at the usual proxy."""

    async def asked(agent: Agent, key: Key, script: Script, refusals: Refusals | None = None, more: int = 0) -> Ran:
        program = _installed(pytestconfig, agent)
        return await ran(agent, program, proxy, key=key, script=script, refusals=refusals or Refusals(), more=more)

    return asked


def _installed(config: pytest.Config, agent: Agent) -> Path:
    try:
        return config.stash[INSTALLED][agent].result()
    except RuntimeError as fault:
        lacking(f"{agent.package} {agent.version} can't be installed; it takes npm's and PyPI's registry: {fault}")


@pytest.fixture(params=AGENTS, ids=str)
def agent(request: pytest.FixtureRequest, litellm_version: Version) -> Agent:
    one: Agent = request.param
    if one is GEMINI and not (litellm_version.hooks_genai and litellm_version.spells_genai):
        pytest.skip(f"LiteLLM {litellm_version} calls no hook on Gemini's own routes, or spells their streams wrong")
    return one
