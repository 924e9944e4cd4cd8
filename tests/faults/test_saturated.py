"""A worker that has no moment's rest: an outage ends although the load goes on."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from tests.harness.keys import fresh_key
from tests.harness.routes import ROUTES
from tests.harness.witness import gauge, lasting, settled, wait_until

if TYPE_CHECKING:
    from tests.harness.clients import Caller
    from tests.harness.redis_server import RedisServer

pytestmark = pytest.mark.more

CHAT = ROUTES["chat"]
CLIENTS = 128
AWAY = "cannot count slots in Redis"
BACK = "Redis answers again"


async def test_an_outage_ends_while_a_worker_is_saturated_and_leaves_nothing(
    caller: Caller, redis_server: RedisServer
) -> None:
    """While some are being written, others are admitted, which is more that Redis does not know.

    And each turn of the event loop is long: calls to Redis that were given up by the clock opened connections anew.
    """
    key, served, more = fresh_key(cap=1000), 0, True

    async def client() -> None:
        nonlocal served
        while more:
            answer = await caller.plain(CHAT, key)
            served += answer.status == 200

    await caller.plain(CHAT, key)
    clients = [asyncio.create_task(client()) for _ in range(CLIENTS)]
    await wait_until(lambda: served > CLIENTS, "the load is on", within=30)
    away, back = caller.proxy.text().count(AWAY), caller.proxy.text().count(BACK)
    redis_server.pause()
    await asyncio.sleep(4)
    redis_server.resume()
    # A beat takes some thirty turns of a loop that has 128 requests to serve in each.
    await wait_until(lambda: caller.proxy.text().count(BACK) > back, "it answers again", within=60)
    assert caller.proxy.text().count(AWAY) == away + 1
    goes_on = served
    await wait_until(lambda: served > goes_on + CLIENTS, "the load goes on", within=30)

    # None is cancelled: one that is just connecting would leave its socket open behind it.
    more = False
    await asyncio.gather(*clients)
    assert await settled(lambda: gauge(redis_server.client, key), 0, within=5) == 0
    assert lasting(redis_server.client, key) == []
