"""Several workers on one Redis: never a refusal below the cap, never more than the cap at the provider."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tests.exits.endings import ENDINGS
from tests.harness.clients import Admission
from tests.harness.keys import fresh_key
from tests.harness.routes import ROUTES
from tests.harness.tables import part
from tests.harness.witness import gauge, lasting, settled

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.harness.clients import Caller
    from tests.harness.keys import Key
    from tests.harness.redis_server import RedisServer

pytestmark = pytest.mark.more

CAP = 4


@pytest.fixture(params=part(["two proxies", "two workers"], "two proxies"))
def together(request: pytest.FixtureRequest, shared: Callable[..., Caller]) -> list[Caller]:
    """Two addresses, or one with two processes behind it, between which the kernel chooses."""
    if request.param == "two workers":
        # Not uvicorn's own: 0.33 takes a worker that imports for longer than 5 s for dead, and starts another.
        return [shared(workers=2, arguments=("--run_gunicorn",))]
    return [shared(), shared(number=1)]


@pytest.mark.parametrize("name", ["chat", "messages", "responses", "pass_custom"])
async def test_turn_by_turn_on_either_is_never_refused_at_a_cap_of_one(together: list[Caller], name: str) -> None:
    one, statuses = fresh_key(cap=1), []
    for turn in range(80):
        caller = together[turn % len(together)]
        send = caller.plain if turn % 3 else caller.streamed
        statuses.append((await send(ROUTES[name], one, replace(caller.script(), chunks=2))).status)

    assert statuses == [200] * 80


async def test_a_crowd_that_keeps_to_the_cap_is_never_refused(together: list[Caller]) -> None:
    """As many clients as the cap, each sending one request after another, now here and now there."""
    key, first = fresh_key(cap=CAP), together[0]
    script = replace(first.script(), chunks=2)

    async def client(number: int) -> list[int]:
        names = ("chat", "messages", "responses")
        asked = [(together[(number + turn) % len(together)], ROUTES[names[turn % 3]]) for turn in range(30)]
        return [(await caller.plain(route, key, script)).status for caller, route in asked]

    statuses = await asyncio.gather(*(client(number) for number in range(CAP)))
    assert statuses == [[200] * 30] * CAP


async def test_a_crowd_that_hangs_up_never_brings_more_than_the_cap(
    together: list[Caller], key: Key, redis_server: RedisServer
) -> None:
    """Bare LiteLLM 1.83.14 lets 8 of 4 in at once, and is left at -7."""
    watch = together[0].script().run

    async def client(number: int) -> None:
        caller = together[number % len(together)]
        for turn in range(5):
            route = ROUTES["chat" if turn % 2 else "messages"]
            script = replace(caller.script(), run=watch, chunks=6, gap=0.03)
            async with caller.opened(route, key, script) as stream:
                if stream.status == 200:
                    await stream.read_chunks(1 + turn % 3)

    await asyncio.gather(*(client(number) for number in range(16)))
    counts = await together[0].provider.wait(watch, open=0)

    assert counts.peak <= CAP
    assert counts.total > CAP
    assert await settled(lambda: gauge(redis_server.client, key), 0) == 0
    for caller in together:
        assert await caller.admitted_at_once(key, cap=CAP) == Admission(CAP, 2)
        await settled(lambda: gauge(redis_server.client, key), 0)
    assert lasting(redis_server.client, key) == []


async def test_the_cap_is_one_for_both(together: list[Caller], key: Key) -> None:
    """What one has admitted the other refuses, and admits as soon as the first has answered."""
    here, there = together[0], together[-1]
    async with here.holding(key, CAP):
        refused = [(await there.plain(ROUTES["chat"], key)).status for _ in range(4)]
    admitted = [(await there.plain(ROUTES["chat"], key)).status for _ in range(4)]

    assert (refused, admitted) == ([429] * 4, [200] * 4)


async def test_slots_come_back_without_redis(shared: Callable[..., Caller], key: Key) -> None:
    caller = shared(redis_port=None)
    for name in ("complete", "plain", "cancel_mid", "cancel_before_first", "http500", "http429", "midreset", "refused"):
        for route in ("chat", "messages", "responses", "pass_custom"):
            await ENDINGS[name](caller, ROUTES[route], key)
    await caller.provider.wait("unmarked", open=0)

    assert await caller.admitted_at_once(key, cap=CAP) == Admission(CAP, 2)
