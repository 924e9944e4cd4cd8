"""Whatever happens to Redis, at whatever moment of a request: no client sees it, and no slot is lost."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tests.faults.open_streams import LEASE_SECONDS, REDIS_TIMEOUT_SECONDS, SHORT_LEASE, held
from tests.harness.keys import fresh_key
from tests.harness.routes import ROUTES
from tests.harness.witness import gauge, lasting, settled, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.harness.clients import Caller
    from tests.harness.delay_proxy import DelayProxy
    from tests.harness.keys import Key
    from tests.harness.redis_server import RedisServer

CHAT = ROUTES["chat"]
CLOSED = "general_settings: {fail_closed_rate_limit_enforcement: true}"
AWAY = "cannot count slots in Redis"
BACK = "Redis answers again"
# One probe of an outage, its answer, and the machine.
SOON = LEASE_SECONDS + 1


class Fault:
    """Something that happens to Redis, and its end."""

    def __init__(self, redis_server: RedisServer) -> None:
        self.redis = redis_server

    def begin(self) -> None: ...

    def end(self) -> None: ...


class Paused(Fault):
    """Connections stay open, and nothing is answered."""

    def begin(self) -> None:
        self.redis.pause()

    def end(self) -> None:
        self.redis.resume()


class Stopped(Fault):
    """Connections are refused; it comes back empty, as a failover to an empty replica does."""

    def begin(self) -> None:
        self.redis.stop()

    def end(self) -> None:
        self.redis.restart()


class Restarted(Fault):
    def begin(self) -> None:
        self.redis.restart()


class Flushed(Fault):
    def begin(self) -> None:
        self.redis.client.flushall()


class ScriptsFlushed(Fault):
    def begin(self) -> None:
        self.redis.client.script_flush()


@pytest.fixture(params=[Paused, Stopped, Restarted, Flushed, ScriptsFlushed], ids=lambda fault: fault.__name__)
def fault(request: pytest.FixtureRequest, redis_server: RedisServer) -> Fault:
    return request.param(redis_server)  # type: ignore[no-any-return]


async def at_rest(caller: Caller, key: Key, redis_server: RedisServer) -> None:
    """The gauge is 0, exactly the cap is admitted, and nothing stays."""
    assert await settled(lambda: gauge(redis_server.client, key), 0, within=SOON) == 0
    await wait_until(lambda: caller.proxy.text().count(AWAY) == caller.proxy.text().count(BACK), "Redis is asked again")
    assert await caller.admitted_at_once(key, cap=4) == (4, 2)
    assert lasting(redis_server.client, key) == []


async def test_before_a_request_comes(caller: Caller, key: Key, redis_server: RedisServer, fault: Fault) -> None:
    """Timed to the answer's beginning: at its end LiteLLM waits for a frozen Redis itself, 5 s, guarded or not.

    From 1.94 on it also does so before and between requests, so that nothing there is a measure of the guard.
    """
    await caller.plain(CHAT, key)
    fault.begin()
    took = []
    for route in (ROUTES[name] for name in ("chat", "messages", "responses")):
        started, script = time.monotonic(), caller.script()
        async with caller.opened(route, key, script) as stream:
            took.append(time.monotonic() - started)
            assert stream.status == 200
            await asyncio.wait_for(stream.read_until(route.terminal), 40)
    fault.end()
    await at_rest(caller, key, redis_server)
    if not caller.proxy.setup.version.at_least(1, 94):
        assert took[0] < REDIS_TIMEOUT_SECONDS + 1, took
        assert max(took[1:]) < 1, took


async def test_frozen_for_longer_than_a_lease_it_wakes_up_to_nothing_held(
    start: Callable[..., Caller], key: Key, redis_server: RedisServer
) -> None:
    """It still carries out the acquire that nobody waits for any more."""
    caller = start()
    await caller.plain(CHAT, key)
    redis_server.pause()
    assert (await caller.plain(CHAT, key)).status == 200
    await asyncio.sleep(LEASE_SECONDS + 1)
    redis_server.resume()
    await wait_until(lambda: BACK in caller.proxy.text(), "it answers again")
    assert await settled(lambda: gauge(redis_server.client, key), 0, within=LEASE_SECONDS / 3) == 0


async def test_a_key_with_a_limit_per_minute_keeps_its_cap(
    caller: Caller, redis_server: RedisServer, fault: Fault
) -> None:
    """Up to 1.93 one call to Redis asks for both: where it fails, each is counted in this worker."""
    limited = fresh_key(cap=4, rpm=10_000)
    await caller.plain(CHAT, limited)
    fault.begin()
    async with held(caller, limited, 4) as streams:
        assert (await caller.plain(CHAT, limited)).status == 429
        fault.end()
        assert await settled(lambda: gauge(redis_server.client, limited), 4, within=SOON) == 4
        assert await streams.finish() == [True] * 4
    await at_rest(caller, limited, redis_server)


async def test_while_slots_are_held(caller: Caller, key: Key, redis_server: RedisServer, fault: Fault) -> None:
    """They are counted again within a beat after it is over, and the cap holds meanwhile."""
    async with held(caller, key, 3) as streams:
        fault.begin()
        await asyncio.sleep(1)
        assert await streams.open_at_provider() == 3
        fault.end()
        assert await settled(lambda: gauge(redis_server.client, key), 3, within=SOON) == 3
        assert await streams.finish() == [True] * 3
    await at_rest(caller, key, redis_server)


async def test_while_slots_are_given_back(caller: Caller, key: Key, redis_server: RedisServer, fault: Fault) -> None:
    async with held(caller, key, 3) as streams:
        fault.begin()
        started = time.monotonic()
        assert await streams.finish() == [True] * 3
        took = time.monotonic() - started
        fault.end()
    await at_rest(caller, key, redis_server)
    assert took < REDIS_TIMEOUT_SECONDS + 1, took


async def test_away_for_longer_than_a_lease_the_cap_is_enforced_on_what_this_worker_holds(
    caller: Caller, key: Key, redis_server: RedisServer
) -> None:
    """Back again, it has every slot that is held within a beat; the log has one line for each change."""
    before = caller.proxy.text()
    async with held(caller, key, 2) as first:
        redis_server.pause()
        async with held(caller, key, 2) as second:
            started = time.monotonic()
            statuses = [(await caller.plain(CHAT, key)).status for _ in range(10)]
            assert (statuses, time.monotonic() - started < 2) == ([429] * 10, True)
            await asyncio.sleep(LEASE_SECONDS + 1)
            redis_server.resume()
            assert await settled(lambda: gauge(redis_server.client, key), 4, within=SOON) == 4
            assert await second.finish() == [True] * 2
        assert await first.finish() == [True] * 2
    await at_rest(caller, key, redis_server)
    said = caller.proxy.text()[len(before) :]
    assert (said.count(AWAY), said.count(BACK)) == (1, 1)


async def test_cut_off_and_back_a_proxys_slots_are_counted_again(
    start: Callable[..., Caller], caller: Caller, key: Key, redis_server: RedisServer, wire: DelayProxy
) -> None:
    """Another one took the slots that had lapsed: the sum is told as it is, and nobody is admitted until it fits."""
    cut_off = start(redis_port=wire.port)
    async with held(cut_off, key, 3) as first:
        wire.cut()
        await settled(lambda: gauge(redis_server.client, key), 0, within=LEASE_SECONDS * 2)
        async with held(caller, key, 2) as second:
            wire.mend()
            assert await settled(lambda: gauge(redis_server.client, key), 5, within=SOON) == 5
            assert (await caller.plain(CHAT, key)).status == 429
            assert await first.finish() == [True] * 3
            assert await settled(lambda: gauge(redis_server.client, key), 2) == 2
            assert await second.finish() == [True] * 2
    await at_rest(caller, key, redis_server)


async def test_told_to_stay_closed_it_answers_503_and_goes_on_with_what_runs(
    start: Callable[..., Caller], key: Key, redis_server: RedisServer
) -> None:
    caller = start(env=(*SHORT_LEASE, ("CANCEL_GUARD_ON_REDIS_ERROR", "closed")))
    free = fresh_key(cap=None)
    async with held(caller, key, 1) as running:
        redis_server.pause()
        for name in ("chat", "text", "messages", "messages_claude", "responses", "pass_custom", "pass_gemini", "embed"):
            answer = await caller.plain(ROUTES[name], key)
            assert (name, answer.status) == (name, 503), answer.text
            assert "could not be verified" in answer.text
            seconds = int(answer.headers["retry-after"])
            assert 1 <= seconds <= 60
            said = json.loads(answer.text)
            told = {"cause": "count_unknown", "retry_after": seconds}
            assert (name, said.get("error", said)["cancel_guard"]) == (name, told)
        assert (await caller.plain(CHAT, fresh_key(cap=4, rpm=100))).status == 503
        assert (await caller.plain(CHAT, free)).status == 200, "a key without a cap needs no count"
        redis_server.resume()
        assert await running.finish() == [True]
    await at_rest(caller, key, redis_server)


@pytest.mark.parametrize(("chosen", "status"), [("", 503), ("local", 200)], ids=["nothing chosen", "chosen"])
async def test_where_litellm_is_told_to_fail_closed_the_cap_does_too_unless_the_guard_is_told_otherwise(
    start: Callable[..., Caller], key: Key, redis_server: RedisServer, chosen: str, status: int
) -> None:
    caller = start(env=(*SHORT_LEASE, *((("CANCEL_GUARD_ON_REDIS_ERROR", chosen),) if chosen else ())), settings=CLOSED)
    if not caller.proxy.setup.version.fails_closed:
        status = 200
    assert (await caller.plain(CHAT, key)).status == 200
    redis_server.stop()
    statuses = [(await caller.plain(CHAT, key)).status for _ in range(2)]
    redis_server.restart()
    assert statuses == [status] * 2
    await at_rest(caller, key, redis_server)


async def test_alone_litellm_fails_closed_with_that_status(
    start: Callable[..., Caller], key: Key, redis_server: RedisServer
) -> None:
    caller = start(guarded=False, settings=CLOSED)
    redis_server.stop()
    answer = await caller.plain(CHAT, key)
    redis_server.restart()
    assert answer.status == (503 if caller.proxy.setup.version.fails_closed else 200), answer.text


async def test_a_slow_release_while_the_client_leaves_is_done_once(
    start: Callable[..., Caller], key: Key, redis_server: RedisServer, wire: DelayProxy
) -> None:
    """Its answer takes longer than the request's end may wait for it."""
    caller = start(redis_port=wire.port)
    await caller.plain(CHAT, key)
    wire.delay = REDIS_TIMEOUT_SECONDS * 0.6
    for name in ("chat", "messages", "responses", "pass_custom"):
        await caller.hang_up_mid(ROUTES[name], key)
    wire.delay = REDIS_TIMEOUT_SECONDS * 1.5
    async with held(caller, key, 2):
        pass
    wire.mend()
    await at_rest(caller, key, redis_server)


@pytest.mark.parametrize("moment", ["acquire", "release"])
async def test_an_answer_that_never_arrives_leaves_nothing(
    start: Callable[..., Caller], key: Key, redis_server: RedisServer, wire: DelayProxy, moment: str
) -> None:
    caller = start(redis_port=wire.port)
    script = replace(caller.script(), stall="1")
    wire.swallow = moment == "acquire"
    async with caller.opened(CHAT, key, script) as stream:
        await stream.read_chunks(1)
        wire.swallow = True
        await caller.provider.release(script.run)
        await asyncio.wait_for(stream.read_until("[DONE]"), 10)
    wire.mend()
    wire.cut()
    wire.mend()
    assert wire.swallowed > 0
    await at_rest(caller, key, redis_server)
