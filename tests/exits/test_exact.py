"""Never refused below the cap: a client that sends one request after another has nothing else in flight."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tests.harness.keys import fresh_key
from tests.harness.routes import ROUTES, SOCKETS
from tests.harness.sessions import session

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.harness.clients import Caller
    from tests.harness.routes import Route, SocketRoute

IN_A_ROW = [20, pytest.param(60, marks=pytest.mark.tables), pytest.param(200, marks=pytest.mark.thorough)]


@pytest.mark.parametrize("requests", IN_A_ROW)
@pytest.mark.parametrize("how", ["streamed", "plain"])
@pytest.mark.parametrize("route", ROUTES.values(), ids=ROUTES.keys())
async def test_one_after_another_is_never_refused_at_a_cap_of_one(
    caller: Caller, route: Route, how: str, requests: int
) -> None:
    if how == "streamed" and not route.streams:
        pytest.skip(f"{route.name} has no streams")
    if not caller.proxy.setup.version.at_least(*route.since):
        pytest.skip(f"LiteLLM {caller.proxy.setup.version} has no {route.name}")
    one = fresh_key(cap=1)
    statuses = []
    for _ in range(requests):
        script = replace(caller.script(), chunks=2)
        send = caller.streamed if how == "streamed" else caller.plain
        statuses.append((await send(route, one, script)).status)

    assert statuses.count(429) == 0
    assert statuses == [200] * requests


# On the other routes the slot is free in Redis before the last byte is out.
@pytest.mark.parametrize("name", ["pass_anthropic", "pass_custom"])
async def test_one_after_another_is_not_refused_while_the_event_loop_keeps_standing_still(
    start: Callable[..., Caller], name: str
) -> None:
    """A worker's first requests import LiteLLM's parts for half a second, and some callbacks wait without awaiting."""
    caller = start(env=(("CANCEL_GUARD_REDIS_TIMEOUT", "1"),))
    one = fresh_key(cap=1)

    async def keep_blocking() -> None:
        while True:
            await caller.plain(ROUTES["chat"], fresh_key(cap=None, block=600))

    blocking = asyncio.create_task(keep_blocking())
    script = replace(caller.script(), chunks=2)
    statuses = [(await how(ROUTES[name], one, script)).status for how in [caller.streamed, caller.plain] * 10]
    blocking.cancel()
    await asyncio.wait([blocking])

    assert statuses == [200] * 20


@pytest.mark.parametrize("requests", IN_A_ROW)
@pytest.mark.parametrize("route", SOCKETS.values(), ids=SOCKETS.keys())
async def test_one_session_after_another_is_never_refused_at_a_cap_of_one(
    caller: Caller, route: SocketRoute, requests: int
) -> None:
    if not caller.proxy.setup.version.at_least(*route.since):
        pytest.skip(f"LiteLLM {caller.proxy.setup.version} has no {route.name}")
    one = fresh_key(cap=1)
    for _ in range(requests // 2):
        async with session(caller, route, one) as held:
            await held.turn(replace(caller.script(), chunks=2))


async def test_a_refusal_uses_up_no_request_of_the_minute(caller: Caller) -> None:
    """LiteLLM counts the minute first and refunds nothing (BerriAI/litellm#39309)."""
    one, script = fresh_key(cap=1, rpm=2), replace(caller.script(), stall="headers")
    holding = asyncio.create_task(caller.plain(ROUTES["chat"], one, script))
    await caller.provider.wait(script.run, stalled=1)
    refused = [(await caller.plain(ROUTES["chat"], one)).status for _ in range(5)]
    await caller.provider.release(script.run)
    await holding

    assert refused == [429] * 5
    assert [(await caller.plain(ROUTES["chat"], one)).status for _ in range(2)] == [200, 429]
