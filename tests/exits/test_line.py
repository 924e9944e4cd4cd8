"""The line before a key that is full, over two real proxies: who waits, is served, and leaves."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

from tests.harness.clients import Caller
from tests.harness.keys import fresh_key
from tests.harness.provider.handle import Control
from tests.harness.routes import ROUTES
from tests.harness.witness import gauge, keys_of, settled, wait_until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import httpx

    from tests.harness.config import Setup
    from tests.harness.keys import Key
    from tests.harness.provider.handle import Provider
    from tests.harness.proxy import Proxies
    from tests.harness.redis_server import RedisServer

CHAT = ROUTES["chat"]
WAITED = "x-cancel-guard-waited-ms"


@pytest_asyncio.fixture
async def two(proxies: Proxies, setup: Setup, provider: Provider, http: httpx.AsyncClient) -> AsyncIterator[Caller]:
    """A caller of two proxies in turn, on one Redis."""
    other = replace(setup, env=(*setup.env, ("CANCEL_GUARD_MAX_WAITING", "101")))
    caller = Caller(proxies.shared(setup), Control(provider, http), http, proxies.shared(other))
    yield caller
    await caller.let_go()


def waiting(redis_server: RedisServer, key: Key) -> int:
    client: Any = redis_server.client
    return int(client.zcard(f"{{api_key:{key.name}}}:cancel_guard:waits"))


async def at_rest(redis_server: RedisServer, key: Key) -> None:
    assert await settled(lambda: gauge(redis_server.client, key), 0) == 0
    assert [name for name in keys_of(redis_server.client, key) if "cancel_guard" in name] == []


@pytest.mark.parametrize("name", ["chat", "messages", "responses", "pass_anthropic"])
async def test_twenty_agents_share_four_slots_and_none_is_refused(
    two: Caller, redis_server: RedisServer, name: str
) -> None:
    one, script = fresh_key(cap=4, wait=60), replace(two.script(), chunks=2, delay=0.1)
    turns = 3

    async def agent() -> list[int]:
        return [(await two.streamed(ROUTES[name], one, script)).status for _ in range(turns)]

    statuses = await asyncio.gather(*(agent() for _ in range(20)))
    counts = await two.provider.counts(script.run)
    assert (statuses, counts.peak, counts.total) == ([[200] * turns] * 20, 4, 20 * turns)
    await at_rest(redis_server, one)


@pytest.mark.parametrize(("header", "teams"), [("X-Claude-Code-Agent-Id", None), ("X-Team", 1)])
async def test_a_fan_out_of_fifty_holds_up_the_one_request_of_another_agent_for_a_round_at_most(
    two: Caller, redis_server: RedisServer, header: str, teams: int | None
) -> None:
    one, script = fresh_key(cap=2, wait=60, teams=teams), replace(two.script(), chunks=2, delay=0.1)
    done: list[str] = []

    async def ask(agent: str) -> int:
        answer = await two.streamed(replace(CHAT, headers=((header, agent),)), one, script)
        done.append(agent)
        return answer.status

    async with two.holding(one, 2):
        asking = [asyncio.create_task(ask("many")) for _ in range(50)]
        await wait_until(lambda: waiting(redis_server, one) == 50, "the fan-out waits")
        asking.append(asyncio.create_task(ask("single")))
        await wait_until(lambda: waiting(redis_server, one) == 51, "all wait")
    assert await asyncio.gather(*asking) == [200] * 51
    # One of the many has its turn before, and one beside it; what is more is read before it, or is behind it in time.
    assert done.index("single") <= 5
    assert (await two.provider.counts(script.run)).peak == 2
    await at_rest(redis_server, one)


async def test_a_main_session_of_four_turns_goes_before_its_subagents_one_request_after_the_other(
    two: Caller, redis_server: RedisServer
) -> None:
    """By turns of one it waits for all of them each time."""
    one, script = fresh_key(cap=1, wait=60, turns=4), replace(two.script(), chunks=2, delay=0.1)
    done: list[str] = []

    async def ask(*agent: tuple[str, str]) -> int:
        headers = (("X-Claude-Code-Session-Id", "session"), *agent)
        answer = await two.streamed(replace(CHAT, headers=headers), one, script)
        done.append(agent[0][1] if agent else "main")
        return answer.status

    async def main() -> list[int]:
        return [await ask() for _ in range(3)]

    async with two.holding(one, 1):
        asking = [asyncio.create_task(ask(("X-Claude-Code-Agent-Id", f"{n}"))) for n in range(12)]
        await wait_until(lambda: waiting(redis_server, one) == 12, "the subagents wait")
        session = asyncio.create_task(main())
        await wait_until(lambda: waiting(redis_server, one) == 13, "all wait")
    assert (await asyncio.gather(*asking), await session) == ([200] * 12, [200] * 3)
    # Before each but the first, who is next has the slot, or has his answer read before it.
    assert [at for at, agent in enumerate(done) if agent == "main"][-1] <= 8, done
    await at_rest(redis_server, one)


async def test_a_slot_goes_to_the_next_within_milliseconds(two: Caller, redis_server: RedisServer) -> None:
    one = fresh_key(cap=1, wait=60)
    async with two.holding(one, 1):
        asking = asyncio.create_task(two.plain(CHAT, one))
        await wait_until(lambda: waiting(redis_server, one) == 1, "it waits")
        released = time.monotonic()
    answer = await asking
    assert (answer.status, WAITED in answer.headers) == (200, True)
    # The look comes once a second: it was told.
    assert time.monotonic() - released < 0.8
    await at_rest(redis_server, one)


@pytest.mark.parametrize("stream", [True, False])
async def test_who_hangs_up_is_out_of_the_line_at_once_and_takes_no_slot(
    two: Caller, redis_server: RedisServer, stream: bool
) -> None:
    one, script = fresh_key(cap=1, wait=60), two.script()
    async with two.holding(one, 1):
        asking = asyncio.create_task(two.whole(CHAT, one, script, stream=stream))
        await wait_until(lambda: waiting(redis_server, one) == 1, "it waits")
        asking.cancel()
        left = time.monotonic()
        await asyncio.wait([asking])
        await wait_until(lambda: waiting(redis_server, one) == 0, "it has left", every=0.002)
        took = time.monotonic() - left
    assert took < 0.25
    await at_rest(redis_server, one)
    assert (await two.provider.counts(script.run)).total == 0


async def test_who_has_waited_long_enough_is_refused_as_ever(two: Caller, redis_server: RedisServer) -> None:
    one = fresh_key(cap=1, wait=1)
    async with two.holding(one, 1):
        began = time.monotonic()
        answer = await two.plain(CHAT, one)
        took = time.monotonic() - began
    assert (answer.status, answer.headers["x-cancel-guard-cause"]) == (429, "max_parallel_requests")
    assert 1000 <= int(answer.headers[WAITED]) <= took * 1000
    assert 1 <= took < 3
    await at_rest(redis_server, one)


async def test_the_slot_of_one_who_hangs_up_goes_to_the_next(two: Caller, redis_server: RedisServer) -> None:
    one, script = fresh_key(cap=1, wait=60), replace(two.script(), stall="1")
    async with two.opened(CHAT, one, script) as stream:
        await stream.read_chunks(1)
        asking = asyncio.create_task(two.plain(CHAT, one))
        await wait_until(lambda: waiting(redis_server, one) == 1, "it waits")
    await two.left(script.run)
    assert (await asyncio.wait_for(asking, 5)).status == 200
    await at_rest(redis_server, one)


async def test_a_key_without_a_line_is_refused_at_once(two: Caller) -> None:
    one = fresh_key(cap=1)
    async with two.holding(one, 1):
        began = time.monotonic()
        answer = await two.plain(CHAT, one)
        assert (answer.status, WAITED in answer.headers) == (429, False)
        assert time.monotonic() - began < 0.8
