"""A Redis that is away when a worker starts, and comes: the guard is in force before, and counts there afterwards."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.faults.open_streams import SHORT_LEASE, held
from tests.harness.routes import ROUTES
from tests.harness.witness import gauge, lasting, settled, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.harness.clients import Caller
    from tests.harness.keys import Key
    from tests.harness.redis_server import RedisServer

CHAT = ROUTES["chat"]
# Its client asks again after some seconds, each time a little later, 30 s at most.
WITHIN = 40


async def test_what_it_held_meanwhile_and_what_comes_is_counted_there(
    start: Callable[..., Caller], key: Key, redis_server: RedisServer
) -> None:
    redis_server.stop()
    caller = start(env=(*SHORT_LEASE, ("LITELLM_LOG", "INFO")))
    async with held(caller, key, 3) as before:
        redis_server.restart()
        assert await settled(lambda: gauge(redis_server.client, key), 3, within=WITHIN) == 3
        async with held(caller, key, 1) as after:
            assert await settled(lambda: gauge(redis_server.client, key), 4) == 4
            assert (await caller.plain(CHAT, key)).status == 429
            assert await after.finish() == [True]
        assert await before.finish() == [True] * 3

    assert await settled(lambda: gauge(redis_server.client, key), 0) == 0
    assert await caller.admitted_at_once(key, cap=4) == (4, 2)
    assert lasting(redis_server.client, key) == []
    await wait_until(lambda: "limiter of LiteLLM" in caller.proxy.text(), "it says what it guards")
    assert "stands aside" not in caller.proxy.text()
