"""However a request ends, its slot comes back once: asked of LiteLLM's answers, and of Redis."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tests.exits.endings import ENDINGS
from tests.harness.routes import ROUTES
from tests.harness.witness import gauge, lasting, settled

if TYPE_CHECKING:
    from tests.exits.endings import Ending
    from tests.harness.clients import Caller
    from tests.harness.keys import Key
    from tests.harness.redis_server import RedisServer
    from tests.harness.routes import Route

EXIT_ROUTES = ("chat", "messages", "messages_claude", "responses", "pass_anthropic", "pass_custom")
EXIT_ENDINGS = ("complete", "cancel_mid", "cancel_before_first", "plain", "http500")


@pytest.mark.parametrize("ending", [ENDINGS[name] for name in EXIT_ENDINGS], ids=EXIT_ENDINGS)
@pytest.mark.parametrize("route", [ROUTES[name] for name in EXIT_ROUTES], ids=EXIT_ROUTES)
async def test_slots_come_back(
    caller: Caller, key: Key, redis_server: RedisServer, route: Route, ending: Ending
) -> None:
    """After three requests the gauge is at rest, and exactly the cap is admitted at once."""
    for _ in range(3):
        await ending(caller, route, key)
    left = await settled(lambda: gauge(redis_server.client, key), 0)
    admission = await caller.admitted_at_once(key, cap=4)
    after = await settled(lambda: gauge(redis_server.client, key), 0)
    assert (left, *admission, after) == (0, 4, 2, 0)
    assert lasting(redis_server.client, key) == []


@pytest.mark.parametrize("name", ["messages", "messages_claude"])
async def test_a_coding_agent_is_never_refused(caller: Caller, key: Key, redis_server: RedisServer, name: str) -> None:
    """Each turn opens a stream, asks the same again without streaming, and drops the stream when that answers."""
    route = ROUTES[name]
    for turn in range(30):
        script = replace(caller.script(), stall="2")
        async with caller.opened(route, key, script) as dropped:
            answer = await caller.plain(route, key)
            assert (turn, dropped.status, answer.status) == (turn, 200, 200)
        await caller.left(script.run)
    assert await settled(lambda: gauge(redis_server.client, key), 0) == 0
    assert await caller.admitted_at_once(key, cap=4) == (4, 2)
