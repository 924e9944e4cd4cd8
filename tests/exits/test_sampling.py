"""A tool's server that asks for the client's model while its tool runs (`allow_sampling`): one call, one slot."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.harness import beside
from tests.harness.keys import fresh_key
from tests.harness.routes import ROUTES
from tests.harness.witness import gauge, settled

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.harness.clients import Caller
    from tests.harness.redis_server import RedisServer

pytestmark = pytest.mark.more

SERVER = Path(beside.__file__).with_name("sampling.py")
SAMPLER = f"""
mcp_servers:
  sampler: {{transport: stdio, command: python3, args: [{SERVER}], allow_sampling: true, allow_all_keys: true}}
"""
# From 1.109 on LiteLLM starts no server of a tool by itself unless it is told so.
STDIO = (("LITELLM_ENABLE_MCP_STDIO", "true"),)
TIMES = 3
CHAT = ROUTES["chat"]


def _ask(tool: str, text: str) -> dict[str, Any]:
    params = {"name": tool, "arguments": {"text": text, "times": TIMES}}
    return {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}


ASK = replace(ROUTES["mcp"], name="mcp_sampling", model="sampler-ask", build=_ask, patience=0.0)


@pytest.fixture
def caller(shared: Callable[..., Caller]) -> Caller:
    """A caller of a proxy that has a tool whose server samples."""
    caller = shared(settings=SAMPLER, env=STDIO)
    if not caller.proxy.setup.version.samples:
        pytest.skip("this LiteLLM answers no sampling")
    return caller


def samplings(caller: Caller) -> int:
    """How many a tool call has under way: the client of mcp 1 answers them one by one, that of mcp 2 all at once."""
    return TIMES if caller.proxy.setup.version.samples_at_once else 1


async def test_the_samplings_of_a_tool_call_are_served_under_its_slot(
    caller: Caller, redis_server: RedisServer
) -> None:
    key, script = fresh_key(cap=2), replace(caller.script(), stall="headers")
    calling = asyncio.create_task(caller.plain(ASK, key, script))
    await caller.provider.wait(script.run, stalled=samplings(caller))
    held = gauge(redis_server.client, key)
    other = (await caller.plain(CHAT, key)).status
    await caller.provider.release(script.run)
    called = await asyncio.wait_for(calling, 20)

    assert (held, other) == (1, 200)
    assert (called.status, called.text.count("word0")) == (200, TIMES), called.text
    assert await settled(lambda: gauge(redis_server.client, key), 0) == 0


async def test_at_a_cap_of_one_no_sampling_is_refused_and_the_cap_holds(
    caller: Caller, redis_server: RedisServer
) -> None:
    key, script = fresh_key(cap=1), replace(caller.script(), stall="headers")
    calling = asyncio.create_task(caller.plain(ASK, key, script))
    await caller.provider.wait(script.run, stalled=samplings(caller))
    other = (await caller.plain(CHAT, key)).status
    await caller.provider.release(script.run)
    called = await asyncio.wait_for(calling, 20)

    assert (called.status, called.text.count("word0"), other) == (200, TIMES, 429), called.text
    assert await settled(lambda: gauge(redis_server.client, key), 0) == 0
    assert (await caller.plain(CHAT, key)).status == 200
