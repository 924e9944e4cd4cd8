"""Requests that LiteLLM serves in several tasks: each holds its slot until the last of them is done."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from tests.harness.keys import fresh_key
from tests.harness.routes import ROUTES
from tests.harness.witness import gauge, settled, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpx

    from tests.harness.clients import Caller
    from tests.harness.redis_server import RedisServer

CAP = 2
# From 1.103 on the hooks run in a task that is done when there is a stream (`open_sse_before_first_byte`).
PINGS = "litellm_settings: {sse_keepalive_ping_interval_seconds: 15}"
POLLED = "litellm_settings: {responses: {background_mode: {polling_via_cache: all, ttl: 600}}}"
STREAMED = ("chat", "messages", "messages_claude", "responses", "genai", "text", "pass_anthropic", "pass_custom")


@pytest.mark.parametrize("capped", [True, False], ids=["cap", "no cap"])
@pytest.mark.parametrize("name", STREAMED)
async def test_with_keep_alives_a_stream_is_whole_and_holds_its_slot_until_it_ends(
    shared: Callable[..., Caller], redis_server: RedisServer, name: str, capped: bool
) -> None:
    caller, route = shared(settings=PINGS), ROUTES[name]
    key = fresh_key(cap=CAP if capped else None)
    counted = CAP if capped and (name != "genai" or caller.proxy.setup.version.hooks_genai) else 0
    script = replace(caller.script(), stall="2")
    async with contextlib.AsyncExitStack() as stack:
        streams = [await stack.enter_async_context(caller.opened(route, key, script)) for _ in range(CAP)]
        for stream in streams:
            await stream.read_chunks(2)
        held = gauge(redis_server.client, key)
        more = (await caller.plain(ROUTES["chat"], key)).status
        await caller.provider.release(script.run)
        for stream in streams:
            await stream.read_rest()

    assert (held, more) == (counted, 429 if counted else 200)
    assert [route.terminal in stream.text for stream in streams] == [True] * CAP
    assert await settled(lambda: gauge(redis_server.client, key), 0) == 0


async def test_an_answer_that_is_polled_holds_its_slot_until_it_is_there(
    shared: Callable[..., Caller], redis_server: RedisServer, http: httpx.AsyncClient
) -> None:
    caller, key = shared(settings=POLLED), fresh_key(cap=CAP)
    script = replace(caller.script(), stall="2")
    url, headers = f"{caller.proxy.url}/v1/responses", {"Authorization": f"Bearer {key.secret}"}
    asked = {"model": "gpt", "input": str(script), "background": True}
    ids = [(await http.post(url, headers=headers, json=asked)).json()["id"] for _ in range(CAP)]
    await caller.provider.wait(script.run, stalled=CAP)
    held = gauge(redis_server.client, key)
    refused = (await caller.plain(ROUTES["chat"], key)).status
    await caller.provider.release(script.run)

    assert (held, refused) == (CAP, 429)
    assert await settled(lambda: gauge(redis_server.client, key), 0) == 0

    async def all_there() -> bool:
        found = [(await http.get(f"{url}/{polled}", headers=headers)).json() for polled in ids]
        return [answer.get("status") for answer in found] == ["completed"] * CAP

    await wait_until(all_there, "the answers are whole")


BROKEN: dict[str, dict[str, Any]] = {
    "ended without its end": {"break_by": "end", "break_step": 2},
    "ended at once": {"break_by": "end", "break_step": 0},
    "reset": {"break_by": "reset", "break_step": 2},
    "reset at once": {"break_by": "reset", "break_step": 0},
    "an error": {"error_step": 2},
    "an error first": {"error_step": 0},
}


@pytest.mark.parametrize("kind", BROKEN)
async def test_a_polled_answer_whose_stream_has_failed_has_failed_and_says_why(
    shared: Callable[..., Caller], redis_server: RedisServer, http: httpx.AsyncClient, kind: str
) -> None:
    caller, key = shared(settings=POLLED), fresh_key(cap=CAP)
    script = replace(caller.script(), **BROKEN[kind])
    url, headers = f"{caller.proxy.url}/v1/responses", {"Authorization": f"Bearer {key.secret}"}
    asked = {"model": "gpt", "input": str(script), "background": True}
    polled = (await http.post(url, headers=headers, json=asked)).json()["id"]
    answer: dict[str, Any] = {}

    async def over() -> bool:
        answer.update((await http.get(f"{url}/{polled}", headers=headers)).json())
        return answer.get("status") not in ("queued", "in_progress")

    await wait_until(over, "the answer is over")
    words = "scripted 429" if "error" in kind else "before it"
    assert (answer["status"], words in (answer.get("error") or {}).get("message", "")) == ("failed", True), answer
    assert await settled(lambda: gauge(redis_server.client, key), 0) == 0


@pytest.mark.parametrize("name", ["chat", "messages_claude", "responses"])
async def test_a_stream_that_a_callback_reads_on_without_its_client_holds_its_slot(
    shared: Callable[..., Caller], redis_server: RedisServer, name: str
) -> None:
    """The provider works on: with its slot free, it would have more requests at once than the cap."""
    caller = shared(callbacks=("pumping.pumping",), beside=("pumping.py",))
    key, script = fresh_key(cap=1), replace(caller.script(), stall="2")
    async with caller.opened(ROUTES[name], key, script) as stream:
        await stream.read_chunks(2)
    held = await settled(lambda: gauge(redis_server.client, key), 0, within=0.5)
    more = (await caller.plain(ROUTES["chat"], key)).status
    counts = await caller.provider.counts(script.run)
    await caller.provider.release(script.run)

    assert (counts.open, held, more) == (1, 1, 429)
    assert await settled(lambda: gauge(redis_server.client, key), 0) == 0


@pytest.mark.parametrize("name", ["chat", "messages", "responses"])
async def test_behind_a_callback_that_breaks_a_stream_off_the_provider_is_hung_up_on(
    shared: Callable[..., Caller], redis_server: RedisServer, name: str
) -> None:
    """Nobody closes what the callback has read: the slot came back, and the provider went on writing."""
    caller = shared(callbacks=("breaking.midway",), beside=("breaking.py",))
    key = fresh_key(cap=1)
    script = replace(caller.script(), stall="4", chunks=6, proxy="midway")
    await caller.streamed(ROUTES[name], key, script)

    assert await caller.provider.hung_up(script.run, within=5)
    assert await settled(lambda: gauge(redis_server.client, key), 0) == 0
