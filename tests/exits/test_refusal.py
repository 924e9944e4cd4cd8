"""A client that finds its key full is told why, and when a slot is likely to be free, in whatever protocol it speaks.

LiteLLM's own answer says 60 s where it says anything, and clients obey (can1357/oh-my-pi#8854); without a delay, and
after five that were too short, Codex ends its session.
"""

from __future__ import annotations

import asyncio
import json
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from tests.harness.keys import fresh_key
from tests.harness.routes import ROUTES, SOCKETS
from tests.harness.sessions import session

if TYPE_CHECKING:
    from tests.harness.clients import Answer, Caller
    from tests.harness.keys import Key
    from tests.harness.routes import SocketRoute

# By their call type, of those that LiteLLM limits.
REFUSING = (
    *("chat", "text", "messages", "messages_claude", "responses", "genai", "embed", "responses_tools"),
    *("pass_custom", "pass_anthropic", "pass_gemini", "pass_bedrock", "mcp_rest"),
)


async def refused(caller: Caller, name: str, *, stream: bool) -> tuple[Answer, Key]:
    route = ROUTES[name]
    if stream and not route.streams:
        pytest.skip(f"{route.name} has no streams")
    if name == "genai" and not caller.proxy.setup.version.hooks_genai:
        pytest.skip("LiteLLM limits no request of Gemini's native route")
    one = fresh_key(cap=1)
    async with caller.holding(one, 1):
        return await caller.whole(route, one, None, stream=stream), one


def said_in_words(text: str) -> int:
    assert "Limit type: max_parallel_requests" in text
    assert "In flight: 1" in text
    again = re.search(r"Please try again in (\d+)s\.", text)
    assert again, text
    return int(again[1])


@pytest.mark.parametrize("how", ["plain", "streamed"])
@pytest.mark.parametrize("name", REFUSING)
async def test_headers_body_and_words_say_the_same(caller: Caller, name: str, how: str) -> None:
    answer, _ = await refused(caller, name, stream=how == "streamed")

    assert answer.status == 429
    seconds = said_in_words(answer.text)
    assert 1 <= seconds < 60
    told = {name.removeprefix("x-cancel-guard-"): value for name, value in answer.headers.items()}
    assert {name: told.get(name) for name in ("retry-after", "cause", "limit", "in-flight")} == {
        "retry-after": str(seconds),
        "cause": "max_parallel_requests",
        "limit": "1",
        "in-flight": "1",
    }
    body = json.loads(answer.text)
    assert body.get("error", body)["cancel_guard"] == {
        "cause": "max_parallel_requests",
        "limit": 1,
        "in_flight": 1,
        "retry_after": seconds,
    }


async def test_a_tool_call_over_mcp_says_it_in_its_text_which_is_all_that_it_has(caller: Caller) -> None:
    if not caller.proxy.setup.version.at_least(*ROUTES["mcp"].since):
        pytest.skip("LiteLLM answers only one call")
    answer, _ = await refused(caller, "mcp", stream=False)

    assert 1 <= said_in_words(answer.text) < 60


@pytest.mark.parametrize("route", SOCKETS.values(), ids=SOCKETS.keys())
async def test_a_websocket_says_it_in_its_event_and_in_the_reason_of_its_end(
    caller: Caller, route: SocketRoute
) -> None:
    if not caller.proxy.setup.version.at_least(*route.since):
        pytest.skip(f"LiteLLM {caller.proxy.setup.version} has no {route.name}")
    one = fresh_key(cap=1)
    async with caller.holding(one, 1), session(caller, route, one) as held:
        await held.ask_in_vain(caller.script())

    said = re.fullmatch(r"cause=max_parallel_requests limit=1 in_flight=1 retry_after=(\d+)", held.reason)
    assert said, held.reason
    if held.events:
        assert said_in_words(held.text) == int(said[1])
        assert held.events[-1]["error"]["cancel_guard"]["retry_after"] == int(said[1])


async def test_a_client_of_five_tries_that_obeys_gets_its_answer_when_the_slot_is_free(caller: Caller) -> None:
    one, script = fresh_key(cap=1), replace(caller.script(), delay=3.0)
    holding = asyncio.create_task(caller.plain(ROUTES["chat"], one, script))
    await caller.provider.wait(script.run, total=1)
    told = []
    for _ in range(6):
        answer = await caller.streamed(ROUTES["responses"], one)
        if answer.status == 200:
            break
        told.append(int(answer.headers["retry-after"]))
        await asyncio.sleep(told[-1])
    await holding

    assert answer.status == 200, told
    assert told == sorted(told)


async def test_a_caller_who_is_refused_again_and_again_waits_longer_than_one_who_comes_anew(caller: Caller) -> None:
    one = fresh_key(cap=1)

    async def told(agent: str) -> int:
        answer = await ask_as(caller, one, agent)
        assert answer.status_code == 429, answer.text
        return int(answer.headers["retry-after"])

    async with caller.holding(one, 1):
        waits = []
        for _ in range(2):
            waits.append(await told("ann"))
            await asyncio.sleep(waits[-1])
    # A slot that came back after five seconds is what the key is known by now; nobody knows of another caller.
    async with caller.holding(one, 1):
        again, anew = await told("ann"), await told("bob")

    assert waits[1] > waits[0]
    assert again > waits[0]
    assert anew < 60


async def ask_as(caller: Caller, key: Key, agent: str) -> Any:
    path, body, headers = ROUTES["messages"].request(key, str(caller.script()), stream=False)
    headers["X-Claude-Code-Agent-Id"] = agent
    return await caller._http.post(f"{caller.url()}{path}", json=body, headers=headers)
