"""A run of an agent that is broken off."""

from __future__ import annotations

import asyncio
import secrets
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.agents.agents import Agent
from tests.agents.bridge import Refusals
from tests.agents.play import ran
from tests.harness.keys import fresh_key
from tests.harness.programs import required
from tests.harness.provider.script import Script
from tests.harness.witness import wait_until

pytestmark = pytest.mark.agents


def running(mark: str) -> int:
    """How many processes have *mark* among their arguments."""
    count = 0
    for line in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            count += mark in line.read_text()
        except OSError:  # it has ended
            continue
    return count


async def test_a_run_that_is_cancelled_leaves_no_process_behind(namespaces: None) -> None:
    mark = f"300.{secrets.randbelow(10**12)}"
    sleeper = Agent("sleeper", "", "", "", (mark,), {})
    nowhere: Any = SimpleNamespace(url="", port=1)
    program = Path(required("sleep", "coreutils"))
    asking = asyncio.create_task(
        ran(sleeper, program, nowhere, key=fresh_key(cap=1), script=Script("none"), refusals=Refusals())
    )
    # The bridge, and what it runs.
    await wait_until(lambda: running(mark) == 2, "the agent runs", within=20)
    asking.cancel()
    await asyncio.wait([asking])
    assert running(mark) == 0
