"""Behind each program a stream comes as it is sent, a client that leaves is noticed, and errors come through."""

from __future__ import annotations

import asyncio
import signal
import time
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.harness.keys import fresh_key
from tests.harness.routes import ROUTES
from tests.harness.witness import gauge, settled, wait_until
from tests.servers.conftest import PING_SECONDS
from tests.servers.fronts import PROGRAMS

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.harness.clients import Answer
    from tests.harness.keys import Key
    from tests.harness.proxy import Proxy
    from tests.harness.redis_server import RedisServer
    from tests.harness.routes import Route
    from tests.servers.conftest import Behind
    from tests.servers.fronts import Program

pytestmark = [pytest.mark.servers, pytest.mark.timeout(240)]

CHAT = ROUTES["chat"]
PINGED = replace(CHAT, model="pinged")
STREAMED = ("chat", "messages", "responses", "pass_anthropic", "pass_gemini", "pass_custom")
# A wait of which every program's own patience, a minute at most, has an end.
LONG = httpx.Timeout(150)
AT_ONCE = 2.0


def waiting(redis_server: RedisServer, key: Key) -> int:
    client: Any = redis_server.client
    return int(client.zcard(f"{{api_key:{key.name}}}:cancel_guard:waits"))


def needs_pings(behind: Behind) -> None:
    if not behind.proxy.setup.version.at_least(1, 103):
        pytest.skip("this LiteLLM sends no pings")


@pytest.mark.parametrize("plain", [False, True], ids=["configured", "as it comes"])
@pytest.mark.parametrize("name", STREAMED)
async def test_a_chunk_is_there_before_the_next_is_sent(
    stand: Callable[..., Behind], program: Program, key: Key, name: str, *, plain: bool
) -> None:
    behind, route = stand(program, plain=plain), ROUTES[name]
    script = replace(behind.script(), stall="2")
    async with behind.opened(route, key, script) as stream:
        assert stream.status == 200
        await asyncio.wait_for(stream.read_chunks(2), 10)
        await behind.provider.wait(script.run, stalled=1)
        await behind.provider.release(script.run)
        await stream.read_rest()
    assert route.terminal in stream.text


@pytest.mark.parametrize("plain", [False, True], ids=["configured", "as it comes"])
@pytest.mark.parametrize("flowing", [False, True], ids=["silent", "flowing"])
async def test_who_leaves_in_mid_stream_has_his_slot_back_where_that_is_told(
    stand: Callable[..., Behind], program: Program, redis_server: RedisServer, key: Key, *, flowing: bool, plain: bool
) -> None:
    behind = stand(program, plain=plain)
    act: dict[str, Any] = {"chunks": 400, "gap": 0.05} if flowing else {"stall": "2"}
    script = replace(behind.script(), **act)
    async with behind.opened(CHAT, key, script) as stream:
        await asyncio.wait_for(stream.read_chunks(2), 10)
        held = gauge(redis_server.client, key)
    left = await settled(partial(gauge, redis_server.client, key), 0, within=AT_ONCE)
    told = flowing or (program.told_as_it_comes if plain else program.told)
    assert (held, left) == (1, 0 if told else 1)


@pytest.mark.parametrize("at", ["headers", "2"], ids=["before the first chunk", "in mid-stream"])
async def test_with_pings_every_program_notices_who_leaves(
    behind: Behind, redis_server: RedisServer, key: Key, at: str
) -> None:
    needs_pings(behind)
    script = replace(behind.script(), stall=at)
    async with behind.opened(PINGED, key, script) as stream:
        await behind.provider.wait(script.run, stalled=1)
        assert gauge(redis_server.client, key) == 1
        assert stream.status == 200
    # The first that is written for nobody is answered with a reset, the next one fails.
    within = 3 * PING_SECONDS + AT_ONCE
    assert await settled(partial(gauge, redis_server.client, key), 0, within=within) == 0


@pytest.mark.parametrize("plain", [False, True], ids=["configured", "as it comes"])
@pytest.mark.parametrize("stream", [True, False], ids=["stream", "plain"])
async def test_who_leaves_the_line_is_out_of_it_where_that_is_told(
    stand: Callable[..., Behind], program: Program, redis_server: RedisServer, *, stream: bool, plain: bool
) -> None:
    """Nothing has been sent yet."""
    behind = stand(program, plain=plain)
    one = fresh_key(cap=1, wait=60)
    async with behind.holding(one, 1):
        asking = asyncio.create_task(behind.whole(CHAT, one, None, stream=stream))
        await wait_until(lambda: waiting(redis_server, one) == 1, "it waits")
        asking.cancel()
        await asyncio.wait([asking])
        left = await settled(partial(waiting, redis_server, one), 0, within=AT_ONCE)
    assert left == (0 if (program.told_as_it_comes if plain else program.told) else 1)
    await wait_until(lambda: gauge(redis_server.client, one) == 0, "nobody has a slot")


@pytest.mark.parametrize("name", ["chat", "messages", "responses"])
async def test_a_stream_that_breaks_ends_in_its_error(behind: Behind, key: Key, name: str) -> None:
    script = replace(behind.script(), stall="2", break_step=2)
    async with behind.opened(ROUTES[name], key, script) as stream:
        await asyncio.wait_for(stream.read_chunks(2), 10)
        await behind.provider.release(script.run)
        async for piece in stream._pieces:
            stream.text += piece
    said = {"chat": '"error"', "messages": "event: error", "responses": "response.failed"}[name]
    assert (said in stream.text, "ended before it was complete" in stream.text) == (True, True), stream.text


async def test_a_refusal_comes_with_all_that_it_says(behind: Behind) -> None:
    one = fresh_key(cap=1)
    async with behind.holding(one, 1):
        answer = await behind.streamed(CHAT, one)
    said = (answer.status, answer.headers["x-cancel-guard-cause"], "retry-after" in answer.headers)
    assert said == (429, "max_parallel_requests", True)


async def test_a_prompt_of_two_megabytes_is_served(behind: Behind, key: Key) -> None:
    script = behind.script()
    long = replace(CHAT, build=lambda model, text: CHAT.build(model, text + "x" * 2_000_000))
    assert (await behind.plain(long, key, script)).status == 200


async def test_a_minute_in_line_outlasts_what_comes_and_not_what_is_configured(
    stand: Callable[..., Behind], redis_server: RedisServer
) -> None:
    one = fresh_key(cap=1, wait=120)
    async with httpx.AsyncClient(timeout=LONG, trust_env=False) as patient:
        direct = stand(PROGRAMS[0], by=patient)

        async def ask(program: Program, *, plain: bool) -> int:
            return (await stand(program, plain=plain, by=patient).streamed(CHAT, one)).status

        async with direct.holding(one, 1):
            began = time.monotonic()
            plain = {program.name: asyncio.create_task(ask(program, plain=True)) for program in PROGRAMS}
            configured = {program.name: asyncio.create_task(ask(program, plain=False)) for program in PROGRAMS}
            impatient = {program.name: program.gives_up for program in PROGRAMS if program.gives_up}
            await wait_until(lambda: waiting(redis_server, one) == 2 * len(PROGRAMS), "all wait", within=20)
            gave_up = {name: await plain[name] for name in impatient}
            took = time.monotonic() - began
            still = 2 * len(PROGRAMS) - len(impatient)
            left = await settled(partial(waiting, redis_server, one), still, within=5)
        served = await asyncio.gather(*configured.values(), *(plain[name] for name in plain if name not in impatient))
    assert (gave_up, left, served) == (impatient, still, [200] * still)
    assert 55 < took < 80


async def test_a_minute_of_silence_in_mid_stream_outlasts_what_comes_and_not_what_is_configured(
    stand: Callable[..., Behind], redis_server: RedisServer
) -> None:
    key = fresh_key(cap=2 * len(PROGRAMS))
    async with httpx.AsyncClient(timeout=LONG, trust_env=False) as patient:
        direct = stand(PROGRAMS[0], by=patient)
        script = replace(direct.script(), stall="2")

        async def ask(program: Program, *, plain: bool) -> bool:
            async with stand(program, plain=plain, by=patient).opened(CHAT, key, script) as stream:
                await stream.read_rest()
                return CHAT.terminal in stream.text

        plain = {program: asyncio.create_task(ask(program, plain=True)) for program in PROGRAMS}
        configured = [asyncio.create_task(ask(program, plain=False)) for program in PROGRAMS]
        await direct.provider.wait(script.run, stalled=2 * len(PROGRAMS))
        cut = [await plain[program] for program in PROGRAMS if program.gives_up]
        still = 2 * len(PROGRAMS) - len(cut)
        assert await settled(partial(gauge, redis_server.client, key), still, within=5) == still
        await direct.provider.release(script.run)
        whole = await asyncio.gather(*configured, *(plain[program] for program in PROGRAMS if not program.gives_up))
    assert (any(cut), whole) == (False, [True] * still)


async def test_what_a_server_ends_for_its_restart_is_told(
    stand: Callable[..., Behind], one_proxy: Proxy, redis_server: RedisServer
) -> None:
    """The last one: it ends the proxy."""
    key = fresh_key(cap=20)
    callers = {program.name: stand(program) for program in PROGRAMS}
    streams, plain = {}, {}
    for name, behind in callers.items():
        streams[name] = asyncio.create_task(_read(behind, CHAT, key))
        waits = replace(behind.script(), stall="headers")
        plain[name] = asyncio.create_task(behind.plain(CHAT, key, waits))
    await wait_until(lambda: gauge(redis_server.client, key) == 2 * len(PROGRAMS), "all are served", within=10)
    one_proxy.send(signal.SIGTERM)
    answers: dict[str, Answer] = {name: await asyncio.wait_for(asked, 15) for name, asked in plain.items()}
    told = {name: (answer.status, answer.headers.get("retry-after")) for name, answer in answers.items()}
    assert told == dict.fromkeys(callers, (503, "1"))
    ends = {name: "The proxy is being restarted" in await asyncio.wait_for(read, 15) for name, read in streams.items()}
    assert ends == dict.fromkeys(callers, True)
    assert await settled(partial(gauge, redis_server.client, key), 0, within=5) == 0


async def _read(behind: Behind, route: Route, key: Key) -> str:
    async with behind.opened(route, key, replace(behind.script(), stall="2")) as stream:
        await stream.read_rest()
        return stream.text
