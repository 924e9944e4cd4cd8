"""When a client leaves, the provider's connection is closed soon after: nobody pays for what nobody reads."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tests.harness.routes import ROUTES

if TYPE_CHECKING:
    from tests.harness.clients import Caller
    from tests.harness.keys import Key

HOOKED = ("chat", "chat_claude", "chat_gem", "text", "messages", "messages_claude", "responses")


@pytest.mark.parametrize("flowing", [False, True], ids=["silent", "flowing"])
@pytest.mark.parametrize("name", HOOKED)
async def test_the_provider_is_let_go_within_a_second(caller: Caller, key: Key, name: str, flowing: bool) -> None:
    if not caller.proxy.setup.version.notices_hang_ups:
        pytest.skip("its web server does not tell that a client has left")
    script = replace(caller.script(), chunks=400, gap=0.05) if flowing else replace(caller.script(), stall="2")
    async with caller.opened(ROUTES[name], key, script) as stream:
        assert stream.status == 200
        await asyncio.wait_for(stream.read_chunks(2), 10)
    assert await caller.provider.hung_up(script.run, within=1)
