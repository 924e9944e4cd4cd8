"""A key with a cap and a limit of requests per minute: each counts what is its own, and neither costs the other."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from tests.harness.keys import fresh_key
from tests.harness.routes import ROUTES
from tests.harness.witness import gauge, lasting, settled

if TYPE_CHECKING:
    from tests.harness.clients import Caller
    from tests.harness.keys import Key
    from tests.harness.redis_server import RedisServer

pytestmark = pytest.mark.more

CAP = 2
RPM = 4
CHAT = ROUTES["chat"]

# A user's counters lie in another hash slot than the key's.
LIMITS = [{"rpm": RPM}, {"rpm": RPM, "tpm": 100_000}, {"user": RPM}, {"rpm": RPM, "user": RPM}]


@pytest.fixture(params=LIMITS, ids="_".join)
def key(request: pytest.FixtureRequest) -> Key:
    return fresh_key(cap=CAP, **request.param)


def counted(redis_server: RedisServer, key: Key) -> int:
    """The requests of the minute, the key's or its user's."""
    name = f"{{api_key:{key.name}}}" if "-rpm" in key.secret else f"{{user:{key.secret}}}"
    return int(redis_server.client.get(f"{name}:requests") or 0)


async def test_a_request_uses_up_one_of_the_minute_and_a_refusal_for_the_cap_none(
    caller: Caller, key: Key, redis_server: RedisServer
) -> None:
    async with caller.holding(key, CAP):
        refused = [await caller.plain(CHAT, key) for _ in range(3)]
        assert gauge(redis_server.client, key) == CAP
    assert [answer.status for answer in refused] == [429] * 3
    assert counted(redis_server, key) == CAP


async def test_a_refusal_for_the_minute_leaves_no_slot_taken(
    caller: Caller, key: Key, redis_server: RedisServer
) -> None:
    statuses = [(await caller.plain(CHAT, key)).status for _ in range(RPM + 3)]

    assert statuses == [200] * RPM + [429] * 3
    assert await settled(lambda: gauge(redis_server.client, key), 0) == 0
    assert lasting(redis_server.client, key) == []


async def test_of_many_at_once_the_cap_and_the_minute_both_hold(
    caller: Caller, key: Key, redis_server: RedisServer
) -> None:
    script = caller.script()
    answers = await asyncio.gather(*(caller.plain(CHAT, key, script) for _ in range(4 * RPM)))
    counts = await caller.provider.counts(script.run)

    assert sum(answer.status == 200 for answer in answers) == counts.total <= RPM
    assert counts.peak <= CAP
    assert await settled(lambda: gauge(redis_server.client, key), 0) == 0


async def test_a_redis_that_holds_something_else_for_the_minute_costs_no_slot(
    caller: Caller, redis_server: RedisServer
) -> None:
    """LiteLLM then counts the minute in its process, and the slots are counted in Redis as ever."""
    key, store = fresh_key(cap=CAP, rpm=100), redis_server.client
    name = f"{{api_key:{key.name}}}:requests"
    store.lpush(name, "not a number")
    store.expire(name, 60)
    async with caller.holding(key, CAP):
        assert gauge(store, key) == CAP
        assert (await caller.plain(CHAT, key)).status == 429
    assert await settled(lambda: gauge(store, key), 0) == 0
