"""A WebSocket that is passed through holds its slot for as long as its provider works for it, whoever has left."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tests.harness.keys import fresh_key
from tests.harness.routes import PASSED_SOCKET, ROUTES
from tests.harness.sessions import session
from tests.harness.witness import gauge, settled

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.harness.clients import Caller
    from tests.harness.config import Setup
    from tests.harness.redis_server import RedisServer

pytestmark = pytest.mark.more

CHAT = ROUTES["chat"]


@pytest.fixture
def caller(shared: Callable[..., Caller], setup: Setup) -> Caller:
    """A caller of a proxy that passes them on to the provider."""
    if not setup.version.at_least(*PASSED_SOCKET.since):
        pytest.skip("this LiteLLM passes no WebSocket through")
    env = (("OPENAI_API_KEY", "provider-key"), ("OPENAI_API_BASE", setup.provider))
    return shared(env=env, settings="general_settings: {enable_openai_websocket_passthrough: true}")


@pytest.mark.parametrize("how", ["goodbye", "vanishes"])
async def test_between_two_turns_its_client_leaves_and_the_slot_is_free(
    caller: Caller, redis_server: RedisServer, how: str
) -> None:
    one = fresh_key(cap=1)
    for _ in range(3):
        async with session(caller, PASSED_SOCKET, one) as held:
            script = caller.script()
            await held.turn(script)
            counted, refused = gauge(redis_server.client, one), (await caller.plain(CHAT, one)).status
            if how == "vanishes":
                held.vanish()
        assert (counted, refused) == (1, 429)
        await caller.provider.wait(script.run, open=0)
        assert await settled(lambda: gauge(redis_server.client, one), 0) == 0
    assert (await caller.plain(CHAT, one)).status == 200


@pytest.mark.parametrize("how", ["goodbye", "vanishes"])
async def test_in_mid_turn_its_client_leaves_and_the_slot_is_free_when_the_provider_is_done(
    caller: Caller, redis_server: RedisServer, how: str
) -> None:
    """From 1.110 LiteLLM reads on for the bill, 600 s at most: free any sooner, one more would be at the provider."""
    one, script = fresh_key(cap=1), replace(caller.script(), stall="2")
    async with session(caller, PASSED_SOCKET, one) as held:
        await held.ask(script)
        await held.read_chunks(2)
        if how == "vanishes":
            held.vanish()
    reads_on = caller.proxy.setup.version.at_least(1, 110)
    counted = await settled(lambda: gauge(redis_server.client, one), 0, within=1)
    at_work = (await caller.provider.counts(script.run)).open
    refused = (await caller.plain(CHAT, one)).status
    await caller.provider.release(script.run)
    await caller.provider.wait(script.run, open=0)

    assert (counted, at_work, refused) == ((1, 1, 429) if reads_on else (0, 0, 200))
    assert await settled(lambda: gauge(redis_server.client, one), 0) == 0
    assert (await caller.plain(CHAT, one)).status == 200
