"""A web server that never ends a request keeps none of its slots."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import pytest

from tests.faults.open_streams import LEASE_SECONDS, held
from tests.harness.keys import fresh_key
from tests.harness.routes import ROUTES
from tests.harness.witness import gauge, settled, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.harness.clients import Caller
    from tests.harness.redis_server import RedisServer

UNENDING = ("pass_custom", "pass_anthropic", "embed", "chat", "messages_claude", "responses")


@pytest.mark.parametrize("how", ["plain", "streamed"])
async def test_a_request_whose_last_message_is_never_out_holds_no_slot_for_longer_than_a_lease(
    start: Callable[..., Caller], redis_server: RedisServer, how: str
) -> None:
    """An unstreamed pass-through answer held its slot, renewed by the heartbeat, for as long as the worker lived."""
    caller = start(callbacks=("probe.probe", "deaf.deaf"), beside=("probe.py", "deaf.py"))
    keys = {name: fresh_key(cap=1) for name in UNENDING}
    for name, key in keys.items():
        route = replace(ROUTES[name], headers=(*ROUTES[name].headers, ("x-deaf", "1")))
        stream = how == "streamed" and route.streams
        assert (await caller.whole(route, key, replace(caller.script(), chunks=2), stream=stream)).status == 200
    running = fresh_key(cap=1)
    async with held(caller, running, 1) as goes_on:
        for name, key in keys.items():
            left = partial(gauge, redis_server.client, key)
            assert (name, await settled(left, 0, within=3 * LEASE_SECONDS)) == (name, 0)
        assert gauge(redis_server.client, running) == 1

        async def all_but_that_one_are_forgotten() -> bool:
            return bool((await caller.probed())["requests"] == 1)

        await wait_until(all_but_that_one_are_forgotten, "the others are forgotten", within=3 * LEASE_SECONDS)
        assert (await caller.probed())["held"] == {f"api_key:{running.name}": 1}
        assert await goes_on.finish() == [True]
    for name, key in keys.items():
        assert (await caller.plain(ROUTES[name], key)).status == 200
    # Of a stream, uvicorn says that its client is gone as soon as it is out, and Starlette ends the task.
    assert ("the web server never ended" in caller.proxy.text()) == (how == "plain")
