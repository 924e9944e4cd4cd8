"""Requests that are out of the ordinary: each holds one slot while it runs, and none afterwards."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tests.exits.endings import ENDINGS, tools_script
from tests.harness.clients import Admission
from tests.harness.keys import fresh_key
from tests.harness.provider.script import Script
from tests.harness.routes import ROUTES
from tests.harness.tables import part
from tests.harness.witness import gauge, keys_of, lasting, settled

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.harness.clients import Caller
    from tests.harness.keys import Key
    from tests.harness.redis_server import RedisServer
    from tests.harness.routes import Route

pytestmark = pytest.mark.more

CHAT, RESPONSES, PASS = ROUTES["chat"], ROUTES["responses"], ROUTES["pass_custom"]
CAP = 4
WINDOW = 1
TOOL_GUARDRAIL = """
guardrails:
- {guardrail_name: tool, litellm_params: {guardrail: refusing.Tool, mode: pre_mcp_call, default_on: true}}
"""
USUAL = ("complete", "plain", "cancel_mid", "http500", "http429")


async def until_admitted(caller: Caller, key: Key, route: Route, script: object) -> None:
    """As a patient client does: again, for as long as it is refused for concurrency or the provider fails."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        answer = await caller.plain(route, key, script)  # type: ignore[arg-type]
        if answer.status == 200:
            return
        assert answer.status in (429, 500), f"{answer.status}: {answer.text}"
        await asyncio.sleep(0.1)
    raise AssertionError("never admitted")


async def all_is_back(caller: Caller, key: Key, redis_server: RedisServer) -> None:
    left = await settled(lambda: gauge(redis_server.client, key), 0)
    admission = await caller.admitted_at_once(key, cap=CAP)
    after = await settled(lambda: gauge(redis_server.client, key), 0)
    assert (left, admission, after) == (0, Admission(CAP, 2), 0)
    assert lasting(redis_server.client, key) == []


@pytest.mark.parametrize("name", part(["chat", "messages", "responses", "fallback"], "chat"))
async def test_retries_never_bring_more_than_the_cap_to_the_provider(
    shared: Callable[..., Caller], redis_server: RedisServer, name: str
) -> None:
    """Each failed attempt gives LiteLLM's slot back while its retry runs: 11 of 4 at once on 1.83.14, 6 on 1.109.1."""
    caller, key = shared(settings="router_settings: {num_retries: 1, disable_cooldowns: true}"), fresh_key(cap=CAP)
    script = replace(caller.script(), status=500, fail_first=12, delay=0.5, stall="headers")
    asking = [asyncio.create_task(until_admitted(caller, key, ROUTES[name], script)) for _ in range(24)]
    await caller.provider.wait(script.run, stalled=CAP)
    await caller.provider.release(script.run)
    await asyncio.gather(*asking)
    counts = await caller.provider.counts(script.run)

    assert counts.total >= 24 + 12
    assert counts.peak == CAP
    await all_is_back(caller, key, redis_server)


async def test_a_fallback_does_not_pass_the_cap_that_refused_it(
    caller: Caller, key: Key, redis_server: RedisServer
) -> None:
    """From 1.93 LiteLLM runs the pre-call chain once more for the fallback of a request that it refused itself."""
    script = caller.script()
    async with caller.holding(key, CAP):
        refused = [await caller.plain(ROUTES["fallback"], key, script) for _ in range(3)]

    assert [answer.status for answer in refused] == [429] * 3
    assert (await caller.provider.counts(script.run)).total == 0
    await all_is_back(caller, key, redis_server)


@pytest.mark.parametrize("rpm", [None, 10_000], ids=["cap alone", "with rpm_limit"])
async def test_requests_that_outlive_the_window_still_count(
    shared: Callable[..., Caller], redis_server: RedisServer, rpm: int | None
) -> None:
    """Up to 1.93 LiteLLM's number starts anew with each window, whatever is in flight, and goes negative after it."""
    caller = shared(env=(("LITELLM_RATE_LIMIT_WINDOW_SIZE", str(WINDOW)),))
    key = fresh_key(cap=CAP, rpm=rpm)
    over = time.monotonic() + 2.5 * WINDOW
    statuses, numbers = [], []
    async with caller.holding(key, CAP):
        while time.monotonic() < over:
            statuses.append((await caller.plain(CHAT, key)).status)
            numbers.append(gauge(redis_server.client, key))
            await asyncio.sleep(0.05)

    assert set(statuses) == {429}
    assert set(numbers) == {CAP}
    await all_is_back(caller, key, redis_server)


@pytest.mark.parametrize("name", ["chat", "messages", "messages_claude", "responses", "pass_custom", "embed"])
async def test_of_three_times_the_cap_exactly_the_cap_is_admitted(
    caller: Caller, key: Key, redis_server: RedisServer, name: str
) -> None:
    for _ in range(3):
        admission = await caller.admitted_at_once(key, cap=CAP, route=ROUTES[name], above=2 * CAP)
        assert admission == Admission(CAP, 2 * CAP)
        assert await settled(lambda: gauge(redis_server.client, key), 0) == 0


async def test_a_key_that_is_no_hash_gets_its_slots_back(caller: Caller, redis_server: RedisServer) -> None:
    """Up to 1.93 LiteLLM uncounts only keys of 64 hex digits, and not those of a JWT or a custom auth."""
    raw = fresh_key(cap=CAP, raw=True)
    for name in USUAL:
        for route in (CHAT, RESPONSES, PASS):
            await ENDINGS[name](caller, route, raw)
    await all_is_back(caller, raw, redis_server)


@pytest.mark.parametrize("how", ["no-log", "x-litellm-disable-callbacks"])
async def test_a_client_cannot_switch_the_guard_off(
    caller: Caller, key: Key, redis_server: RedisServer, how: str
) -> None:
    for route in (CHAT, ROUTES["messages"], RESPONSES):
        quiet = silent(route, how)
        for name in USUAL:
            await ENDINGS[name](caller, quiet, key)
    await all_is_back(caller, key, redis_server)


def silent(route: Route, how: str) -> Route:
    if how == "no-log":
        return replace(route, build=lambda model, text: {**route.build(model, text), "no-log": True})
    names = "litellm_cancel_guard.handler,litellm_cancel_guard,_PROXY_CancelGuard,_proxy_cancelguard"
    return replace(route, headers=(*route.headers, (how, names)))


async def test_requests_with_one_call_id_hold_a_slot_each(caller: Caller, key: Key, redis_server: RedisServer) -> None:
    same = replace(CHAT, headers=(("x-litellm-call-id", "the-same-for-all"),))
    for _ in range(2):
        async with caller.holding(key, CAP, route=same):
            assert gauge(redis_server.client, key) == CAP
            assert (await caller.plain(same, key)).status == 429
        await caller.hang_up_mid(same, key)
    await all_is_back(caller, key, redis_server)


async def test_slots_come_back_under_a_namespace(
    shared: Callable[..., Caller], key: Key, redis_server: RedisServer
) -> None:
    """Up to 1.90, and since 1.110, LiteLLM's scripts and its pipelines write to different keys then."""
    params = f"{{type: redis, host: 127.0.0.1, port: {redis_server.port}, namespace: tenant, supported_call_types: []}}"
    caller = shared(settings=f"litellm_settings: {{cache: true, cache_params: {params}}}")
    async with caller.holding(key, CAP):
        held = [name for name in keys_of(redis_server.client, key) if name.endswith("max_parallel_requests")]
    for name in USUAL:
        for route in (CHAT, RESPONSES, PASS):
            await ENDINGS[name](caller, route, key)

    assert len(held) == 1
    assert held[0].startswith("tenant:") == caller.proxy.setup.version.namespaces_slots
    assert await settled(lambda: redis_server.client.exists(held[0]), 0) == 0
    assert await caller.admitted_at_once(key, cap=CAP) == (CAP, 2)
    assert lasting(redis_server.client, key) == []


async def test_a_callback_that_dawdles_in_its_log_event_holds_up_no_slot(
    shared: Callable[..., Caller], redis_server: RedisServer
) -> None:
    """LiteLLM gives a slot back in a log event, which waits for those before it and is dropped after 20 s."""
    caller, one = shared(callbacks=("dawdling.callback",), beside=("dawdling.py",)), fresh_key(cap=1)
    statuses = [(await caller.plain(route, one)).status for _ in range(10) for route in (CHAT, RESPONSES, PASS)]
    streamed = [(await caller.streamed(CHAT, one)).status for _ in range(10)]

    assert (set(statuses), set(streamed)) == ({200}, {200})
    assert "dawdling over a success" in caller.proxy.text()
    assert await settled(lambda: gauge(redis_server.client, one), 0) == 0


@pytest.mark.parametrize("stream", [True, False], ids=["streamed", "plain"])
@pytest.mark.parametrize(
    ("tool", "follow_up", "shape"),
    [
        ("stall=headers", "", "calls_tool"),
        ("", "stall=headers", "calls_tool"),
        ("proxy=tool", "stall=headers", "calls_tool"),
        ("", "stall=headers", "calls_unknown_tool"),
    ],
    ids=["while the tool runs", "after it", "after it was refused", "after one that nobody has"],
)
async def test_an_answer_that_calls_a_tool_holds_one_slot_to_its_end(
    shared: Callable[..., Caller], redis_server: RedisServer, tool: str, follow_up: str, shape: str, *, stream: bool
) -> None:
    """LiteLLM runs the pre-call hooks for the tool, and the failure hooks if it is refused; then the answer goes on."""
    caller = shared(beside=("refusing.py",), settings=TOOL_GUARDRAIL)
    one, script = fresh_key(cap=1), replace(caller.script(), shape=shape)
    route, others = ROUTES["responses_tools"], tools_script(script.run, tool, follow_up)
    asking = replace(route, build=lambda model, text: route.build(model, others + text))
    answer = asyncio.create_task(caller.whole(asking, one, script, stream=stream))
    await caller.provider.wait(script.run, stalled=1)
    held, refused = gauge(redis_server.client, one), (await caller.plain(CHAT, one)).status
    await caller.provider.release(script.run)

    assert (held, refused, (await answer).status) == (1, 429, 200)
    assert await settled(lambda: gauge(redis_server.client, one), 0) == 0


async def test_an_answer_that_speaks_of_its_end_holds_its_slot_until_that_comes(
    caller: Caller, redis_server: RedisServer
) -> None:
    """A model that writes about event streams has their words in its text, line breaks and all."""
    one, script = fresh_key(cap=1), replace(caller.script(), shape="speaks_of_its_end", stall="3")
    async with caller.opened(ROUTES["messages_claude"], one, script) as stream:
        assert stream.status == 200
        await caller.provider.wait(script.run, stalled=1)
        await asyncio.wait_for(stream.read_chunks(3), 10)
        held, refused = gauge(redis_server.client, one), (await caller.plain(CHAT, one)).status
        await caller.provider.release(script.run)
        await stream.read_rest()

    assert (held, refused) == (1, 429)
    assert "message_stop" in stream.text
    assert await settled(lambda: gauge(redis_server.client, one), 0) == 0


@pytest.fixture
def asking_again(shared: Callable[..., Caller]) -> Caller:
    caller = shared(callbacks=("asking_again.asking_again",), beside=("asking_again.py",))
    if not caller.proxy.setup.version.at_least(1, 83):
        pytest.skip("its streams ask nobody again")
    return caller


async def test_where_a_stream_might_go_on_a_client_that_does_is_not_refused(asking_again: Caller) -> None:
    """It takes the last event for the end, and LiteLLM asks its callbacks only then."""
    one, route = fresh_key(cap=1), ROUTES["messages_claude"]
    # The provider closes its answer so long after the last event.
    script = replace(asking_again.script(), gap=0.01)
    for _ in range(10):
        async with asking_again.opened(route, one, script) as stream:
            await stream.read_until("message_stop")
            assert (stream.status, (await asking_again.plain(route, one)).status) == (200, 200)


async def test_a_stream_that_a_callback_has_go_on_holds_its_slot_to_its_second_end(
    asking_again: Caller, redis_server: RedisServer
) -> None:
    """LiteLLM sends the whole first answer, its last event included, and then asks the provider again."""
    caller, one, route = asking_again, fresh_key(cap=1), ROUTES["messages_claude"]
    run = caller.script().run
    second = str(Script(run, only="again", stall="2"))
    asking = replace(route, build=lambda model, text: route.build(model, second + text))
    async with caller.opened(asking, one, Script(run)) as stream:
        await caller.provider.wait(run, stalled=1)
        held, refused = gauge(redis_server.client, one), (await caller.plain(CHAT, one)).status
        await caller.provider.release(run)
        await stream.read_rest()

    assert (held, refused, stream.text.count("event: message_stop")) == (1, 429, 2)
    assert await settled(lambda: gauge(redis_server.client, one), 0) == 0
