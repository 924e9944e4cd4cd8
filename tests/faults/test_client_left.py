"""When a client leaves, the provider's connection is closed soon after: nobody pays for what nobody reads."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tests.harness.keys import fresh_key
from tests.harness.provider.script import Script
from tests.harness.routes import ROUTES
from tests.harness.witness import wait_until

if TYPE_CHECKING:
    from tests.harness.clients import Caller
    from tests.harness.keys import Key
    from tests.harness.routes import Route

STREAMED = ("chat", "chat_claude", "chat_gem", "text", "messages", "messages_claude", "responses")
PASSED = ("pass_anthropic", "pass_gemini", "pass_custom", "pass_bedrock")


@pytest.mark.parametrize("flowing", [False, True], ids=["silent", "flowing"])
@pytest.mark.parametrize("name", [*STREAMED, *PASSED])
async def test_the_provider_is_let_go_within_a_second(caller: Caller, key: Key, name: str, flowing: bool) -> None:
    if not caller.proxy.setup.version.notices_hang_ups:
        pytest.skip("its web server does not tell that a client has left")
    script = replace(caller.script(), chunks=400, gap=0.05) if flowing else replace(caller.script(), stall="2")
    async with caller.opened(ROUTES[name], key, script) as stream:
        assert stream.status == 200
        await asyncio.wait_for(stream.read_chunks(2), 10)
    assert await caller.provider.hung_up(script.run, within=1)


@pytest.mark.parametrize("name", [*STREAMED, "pass_anthropic", "pass_custom", "pass_bedrock"])
async def test_the_provider_never_has_the_next_request_beside_the_one_that_was_left(caller: Caller, name: str) -> None:
    """A slot is free when the provider's connection is closed; it notices a moment later than the proxy."""
    one, route, run = fresh_key(cap=1), ROUTES[name], caller.script().run
    for _ in range(8):
        async with caller.opened(route, one, Script(run, chunks=400, gap=0.01)) as stream:
            assert stream.status == 200
            await asyncio.wait_for(stream.read_chunks(2), 10)
        await caller.left(run)
        await wait_until(lambda: _is_admitted(caller, route, one, run), "the slot is free", every=0)
    longest = (await caller.provider.counts(run)).longest
    assert longest.get("2", 0) < 0.05, longest


async def _is_admitted(caller: Caller, route: Route, key: Key, run: str) -> bool:
    return (await caller.plain(route, key, Script(run, chunks=2))).status == 200
