"""Ways in which an operator sets a proxy up: each keeps serving, and says what it makes of it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.harness.clients import Admission
from tests.harness.keys import fresh_key
from tests.harness.proxy import Proxy
from tests.harness.routes import ROUTES
from tests.harness.witness import gauge, keys_of, settled, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.harness.clients import Caller
    from tests.harness.config import Setup
    from tests.harness.keys import Key
    from tests.harness.proxy import Proxies
    from tests.harness.redis_server import RedisServer

CHAT, PASS = ROUTES["chat"], ROUTES["pass_custom"]
LOUD = (("LITELLM_LOG", "INFO"),)

StartProxy = "Callable[..., Proxy]"


@pytest.fixture
def start(proxies: Proxies, setup: Setup) -> Iterator[Callable[..., Proxy]]:
    """Start a proxy that differs from the usual one in the fields given, for this test alone."""
    with proxies.alone(setup, Proxy.stop) as start:
        yield start


async def slots_come_back(caller: Caller, key: Key) -> None:
    for _ in range(3):
        await caller.hang_up_mid(CHAT, key)
        await caller.hang_up_mid(PASS, key)
    await wait_until(lambda: at_rest(caller, key), "every slot is back")


async def at_rest(caller: Caller, key: Key) -> bool:
    return await caller.admitted_at_once(key, cap=4) == Admission(admitted=4, refused=2)


async def test_it_says_once_what_it_guards_and_where(
    start: Callable[..., Proxy], call_on: Callable[[Proxy], Caller], key: Key
) -> None:
    proxy = start(env=LOUD)
    caller = call_on(proxy)
    await caller.plain(CHAT, key)
    await caller.plain(CHAT, key)

    lines = proxy.attached
    assert len(lines) == 1
    assert f"LiteLLM {proxy.setup.version}" in lines[0]
    assert "in Redis, lease 30 s" in lines[0]


async def test_without_redis_it_counts_in_the_process(
    start: Callable[..., Proxy], call_on: Callable[[Proxy], Caller], key: Key
) -> None:
    proxy = start(redis_port=None, env=LOUD)

    await slots_come_back(call_on(proxy), key)
    assert "slots in process" in proxy.text()


async def test_listed_twice_it_acts_once(
    start: Callable[..., Proxy], call_on: Callable[[Proxy], Caller], key: Key, redis_server: RedisServer
) -> None:
    twice = "litellm_settings: {callbacks: [litellm_cancel_guard.handler, litellm_cancel_guard.handler]}"
    proxy = start(settings=twice, env=LOUD)

    await slots_come_back(call_on(proxy), key)
    assert await settled(lambda: gauge(redis_server.client, key), 0) == 0
    assert len(proxy.attached) == 1


@pytest.mark.parametrize("name", ["CancelGuard", "hander"])
async def test_a_misspelt_name_in_the_config_is_answered_with_the_line_to_write(
    start: Callable[..., Proxy], call_on: Callable[[Proxy], Caller], key: Key, name: str
) -> None:
    proxy = start(settings=f"litellm_settings: {{callbacks: [litellm_cancel_guard.{name}]}}")

    assert proxy.text().count("Write `litellm_settings: callbacks: [litellm_cancel_guard.handler]`") == 1
    assert "Traceback" not in proxy.text()
    await slots_come_back(call_on(proxy), key)


async def test_it_holds_back_from_a_limiter_it_does_not_know(
    start: Callable[..., Proxy], call_on: Callable[[Proxy], Caller], key: Key
) -> None:
    proxy = start(env=(("LEGACY_MULTI_INSTANCE_RATE_LIMITING", "true"),))
    caller = call_on(proxy)
    statuses = [(await caller.plain(CHAT, key)).status for _ in range(6)]

    assert statuses == [200] * 6
    assert proxy.text().count("cancel_guard: slots stands aside") == 1


async def test_wrong_settings_are_named_and_the_defaults_hold(
    start: Callable[..., Proxy], call_on: Callable[[Proxy], Caller], key: Key
) -> None:
    proxy = start(settings="callback_settings: {cancel_guard: {lease: 10}}")

    await slots_come_back(call_on(proxy), key)
    assert "callback_settings: cancel_guard: lease: no such setting" in proxy.text()


async def test_a_redis_key_of_another_type_costs_no_request_and_is_named(
    caller: Caller, redis_server: RedisServer
) -> None:
    key = fresh_key(cap=4)
    names = [f"{{api_key:{key.name}}}:{part}" for part in ("max_parallel_requests", "cancel_guard:slots")]
    for name in names:
        redis_server.client.rpush(name, "something else")
        redis_server.client.expire(name, 60)
    for _ in range(3):
        await caller.hang_up_mid(CHAT, key)
    await wait_until(lambda: at_rest(caller, key), "the cap is enforced on what this worker holds")

    assert re.search(rf"Redis key \{{{key.name[:8]}…\}}:\S+ is of type list", caller.proxy.text())
    assert {redis_server.client.type(name) for name in names} == {"list"}, "nothing is deleted"


@pytest.mark.parametrize(
    ("rights", "said"), [(["-evalsha", "-script"], 1), (["-eval"], 0)], ids=["without EVALSHA", "without EVAL"]
)
async def test_scripts_are_sent_as_redis_takes_them(
    start: Callable[..., Proxy],
    call_on: Callable[[Proxy], Caller],
    key: Key,
    redis_server: RedisServer,
    rights: list[str],
    said: int,
) -> None:
    """Behind Twemproxy or Codis, LiteLLM takes the first for an outage and counts in each process (#32232)."""
    redis_server.client.acl_setuser(
        "plain",
        enabled=True,
        reset=True,
        passwords=["+secret"],
        keys=["*"],
        channels=["*"],
        commands=["+@all", *rights],
    )
    params = f"{{type: redis, host: 127.0.0.1, port: {redis_server.port}, username: plain, password: secret}}"
    proxy = start(settings=f"litellm_settings: {{cache: true, cache_params: {params}}}")

    await slots_come_back(call_on(proxy), key)
    assert await settled(lambda: gauge(redis_server.client, key), 0) == 0
    assert proxy.text().count("Redis refuses EVALSHA") == said
    assert "cannot count slots in Redis" not in proxy.text()


async def test_a_key_without_a_cap_causes_no_traffic_in_redis(caller: Caller, redis_server: RedisServer) -> None:
    free = fresh_key(cap=None)
    await caller.streamed(CHAT, free)
    await caller.hang_up_mid(PASS, free)

    kinds = {name.rsplit(":", 1)[1] for name in keys_of(redis_server.client, free)}
    assert kinds <= {"tokens"}, "LiteLLM counts tokens of every key; the guard counts nothing"
