"""`total_timeout` (LiteLLM 1.110, litellm_core_utils/total_deadline.py) ends a request as if its client had left."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from tests.harness.clients import Admission
from tests.harness.routes import ROUTES
from tests.harness.witness import gauge, lasting, settled

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.harness.clients import Caller
    from tests.harness.keys import Key
    from tests.harness.redis_server import RedisServer
    from tests.harness.routes import Route

CAP = 4
SECONDS = "0.4"


def by_header(route: Route) -> Route:
    return replace(route, headers=(*route.headers, ("x-litellm-total-timeout", SECONDS)))


def by_body(route: Route) -> Route:
    def build(model: str, text: str) -> dict[str, Any]:
        return {**route.build(model, text), "total_timeout": float(SECONDS)}

    return replace(route, build=build)


@pytest.fixture(autouse=True)
def _knows_it(caller: Caller) -> None:
    if not caller.proxy.setup.version.at_least(1, 110):
        pytest.skip("this LiteLLM has no total_timeout")


@pytest.mark.parametrize("told", [by_header, by_body])
@pytest.mark.parametrize("name", ["chat", "chat_claude", "messages", "messages_claude", "responses"])
async def test_its_slot_comes_back_its_provider_is_let_go_and_the_client_is_told_a_408(
    caller: Caller, key: Key, redis_server: RedisServer, name: str, told: Callable[[Route], Route]
) -> None:
    for at in ("headers", "0", "headers"):
        script = replace(caller.script(), stall=at)
        answer = await caller.plain(told(ROUTES[name]), key, script)
        error = json.loads(answer.text)["error"]
        assert (answer.status, "total_timeout of 0.4s" in error["message"]) == (408, True), answer.text
        assert await caller.provider.hung_up(script.run, within=1)

    assert await settled(lambda: gauge(redis_server.client, key), 0) == 0
    assert await caller.admitted_at_once(key, cap=CAP) == Admission(CAP, 2)
    assert lasting(redis_server.client, key) == []


async def test_between_an_attempt_that_failed_and_its_retry_it_ends_the_request_too(
    caller: Caller, key: Key, redis_server: RedisServer
) -> None:
    route = by_header(ROUTES["chat"])
    retried = replace(route, headers=(*route.headers, ("x-litellm-num-retries", "3")))
    statuses = [
        (await caller.plain(retried, key, replace(caller.script(), status=500, delay=0.25))).status for _ in range(3)
    ]

    assert set(statuses) <= {408, 500}
    assert await settled(lambda: gauge(redis_server.client, key), 0) == 0
    assert await caller.admitted_at_once(key, cap=CAP) == Admission(CAP, 2)


async def test_a_stream_that_may_not_have_one_asks_no_provider_and_holds_nothing(
    caller: Caller, key: Key, redis_server: RedisServer
) -> None:
    script = caller.script()
    answer = await caller.streamed(by_body(ROUTES["chat"]), key, script)

    assert (answer.status, (await caller.provider.counts(script.run)).total) == (400, 0), answer.text
    assert await settled(lambda: gauge(redis_server.client, key), 0) == 0
