"""An agent that LiteLLM stands before (A2A): its slot comes back, and a stream that failed is no whole answer."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from tests.harness.clients import Admission
from tests.harness.keys import fresh_key
from tests.harness.provider.agent import WITHOUT_STREAMS
from tests.harness.provider.script import words
from tests.harness.witness import gauge, lasting, settled
from tests.terminal import agents

if TYPE_CHECKING:
    from tests.harness.clients import Caller
    from tests.harness.config import Setup
    from tests.harness.keys import Key
    from tests.harness.proxy import Proxies, Proxy
    from tests.harness.redis_server import RedisServer

pytestmark = pytest.mark.more
CAP, CHUNKS = 4, 4
CUT_OFF = "The provider's stream ended before it was complete."
UNANSWERED = "The provider closed the connection before it had answered."
# What an agent does, and what a client is told: the words, and the status that they mean.
FAILED: dict[str, tuple[dict[str, Any], str, str]] = {
    "cut": ({"break_step": 2, "break_by": "cut"}, CUT_OFF, "503"),
    "reset": ({"break_step": 2}, CUT_OFF, "503"),
    "ended without its end": ({"break_step": 2, "break_by": "end"}, CUT_OFF, "503"),
    "ended at once": ({"break_step": 0, "break_by": "end"}, UNANSWERED, "503"),
    "killed": ({"break_by": "unanswered"}, UNANSWERED, "503"),
    "429": ({"status": 429, "retry_after": 7}, "scripted 429", "429"),
    "500": ({"status": 500}, "scripted 500", "500"),
    "an error": ({"error_step": 2}, "scripted 429", "503"),
    "an error first": ({"error_step": 0}, "scripted 429", "503"),
}
# How an agent ends, and what is read of it: its words, and its last event.
WHOLE = {
    "": (words(CHUNKS), "completed"),
    "message": (f"{words(CHUNKS)}over", "message"),
    "asks_back": (words(CHUNKS), "input-required"),
    "has_failed": (words(CHUNKS), "failed"),
}


@pytest.fixture
def proxy(proxies: Proxies, setup: Setup) -> Proxy:
    """A proxy with agents; LiteLLM takes this a2a-sdk from 1.109 on."""
    if not setup.version.at_least(1, 109):
        pytest.skip("this LiteLLM asks agents by an older a2a-sdk")
    return proxies.shared(replace(setup, libraries=agents.libraries(), settings=agents.settings(setup.provider)))


@pytest.fixture(params=agents.NAMES)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


async def test_a_failed_stream_ends_in_an_error_of_its_call_and_its_slot_is_back(
    caller: Caller, redis_server: RedisServer, name: str
) -> None:
    told, expected = {}, {}
    for kind, (does, message, status) in FAILED.items():
        one = fresh_key(cap=1)
        answer = await caller.plain(agents.route(name), one, replace(caller.script(), **does))
        last = agents.events(answer.text)[-1]
        held = await settled(partial(gauge, redis_server.client, one), 0)
        error = last.get("error", {})
        told[kind] = (error.get("message"), error.get("data", {}).get("code"), error.get("code"), last["id"], held)
        expected[kind] = (message, status, -32603, f"call of {name}", 0)

    assert told == expected


@pytest.mark.parametrize("shape", WHOLE)
async def test_a_whole_stream_is_the_agents_own(
    caller: Caller, redis_server: RedisServer, name: str, shape: str
) -> None:
    one = fresh_key(cap=1)
    answer = await caller.plain(agents.route(name), one, replace(caller.script(), chunks=CHUNKS, shape=shape))

    assert agents.told(answer.text) == WHOLE[shape]
    assert [event for event in agents.events(answer.text) if "result" not in event] == []
    assert (answer.status, answer.broken_off) == (200, False)
    assert await settled(lambda: gauge(redis_server.client, one), 0) == 0


async def test_a_status_that_says_final_is_an_end_whatever_its_state(caller: Caller, key: Key) -> None:
    script = replace(caller.script(), shape="said_final")
    old, new = [await caller.plain(agents.route(name), key, script) for name in agents.NAMES]

    # 0.3 has the word, 1.0 has not: there a task that works on has not ended.
    assert ["error" in agents.events(answer.text)[-1] for answer in (old, new)] == [False, True]


async def test_the_official_sdk_raises_at_what_failed_and_at_nothing_else(caller: Caller, key: Key, name: str) -> None:
    seen = {}
    for kind in ("cut", "ended without its end", "429", "an error"):
        does, message, _ = FAILED[kind]
        asked = await agents.ask(caller, name, key, replace(caller.script(), **does))
        seen[kind] = (asked.raised, message in asked.message)
    whole = await agents.ask(caller, name, key, caller.script())

    assert seen == dict.fromkeys(seen, ("InternalError", True))
    assert (whole.raised, whole.text) == ("", words(CHUNKS))


async def test_a_plain_answer_whose_body_breaks_is_an_error_and_its_slot_is_back(
    caller: Caller, redis_server: RedisServer, name: str
) -> None:
    one = fresh_key(cap=1)
    script = replace(caller.script(), break_step=0, break_by="cut")
    answer = await caller.plain(agents.route(name, "message/send"), one, script)

    assert (answer.status, "error" in json.loads(answer.text)) == (500, True)
    assert await settled(lambda: gauge(redis_server.client, one), 0) == 0
    assert (await agents.ask(caller, name, one, script, stream=False)).raised == "A2AClientError"


async def test_its_slot_is_held_while_it_streams_and_free_when_its_client_is_gone(
    caller: Caller, redis_server: RedisServer, name: str
) -> None:
    one, script = fresh_key(cap=1), replace(caller.script(), stall="2")
    async with caller.opened(agents.route(name), one, script, stream=False) as stream:
        await asyncio.wait_for(stream.read_chunks(2), 10)
        held, refused = gauge(redis_server.client, one), await caller.plain(agents.route(name), one)

    assert (held, refused.status, json.loads(refused.text)["error"]["code"]) == (1, 429, -32000)
    assert await caller.provider.hung_up(script.run, within=2)
    assert await settled(lambda: gauge(redis_server.client, one), 0) == 0


async def test_its_slot_is_free_when_its_last_event_is_out(
    caller: Caller, redis_server: RedisServer, name: str
) -> None:
    one, script = fresh_key(cap=1), replace(caller.script(), chunks=1, stall="end")
    async with caller.opened(agents.route(name), one, script, stream=False) as stream:
        await asyncio.wait_for(stream.read_until("completed" if name == "agent03" else "TASK_STATE_COMPLETED"), 10)
        left = await settled(lambda: gauge(redis_server.client, one), 0)
        held = (await caller.provider.counts(script.run)).stalled
        await caller.provider.release(script.run)
        await asyncio.wait_for(stream.read_rest(), 10)

    assert (left, held) == (0, 1)
    assert [(await caller.plain(agents.route(name), one)).status for _ in range(20)] == [200] * 20


@pytest.mark.parametrize("kind", ["", "cut", "429"])
async def test_a_model_behind_litellms_bridge_is_an_agent_as_any(
    caller: Caller, key: Key, redis_server: RedisServer, kind: str
) -> None:
    does = FAILED[kind][0] if kind else {}
    answer = await caller.plain(agents.route(agents.BRIDGED), key, replace(caller.script(), **does))
    last = agents.events(answer.text)[-1]

    assert ("error" in last, last["id"]) == (bool(kind), f"call of {agents.BRIDGED}"), answer.text
    assert await settled(lambda: gauge(redis_server.client, key), 0) == 0
    assert await caller.admitted_at_once(key, cap=CAP) == Admission(CAP, 2)
    assert lasting(redis_server.client, key) == []


async def test_a_stream_that_is_taken_up_again_is_judged_alike(caller: Caller, key: Key) -> None:
    route = agents.route("agent03", "tasks/resubscribe")
    whole = await caller.plain(route, key, caller.script())
    cut = await caller.plain(route, key, replace(caller.script(), break_step=2, break_by="end"))

    assert ["error" in agents.events(answer.text)[-1] for answer in (whole, cut)] == [False, True]
    assert agents.events(cut.text)[-1]["error"]["message"] == CUT_OFF


@pytest.mark.parametrize("path", WITHOUT_STREAMS)
async def test_a_task_that_works_on_is_the_whole_answer_of_an_agent_without_streams(
    caller: Caller, redis_server: RedisServer, path: str
) -> None:
    one = fresh_key(cap=1)
    answer = await caller.plain(agents.route(path.removeprefix("/")), one, caller.script())
    [task] = agents.events(answer.text)

    assert "working" in json.dumps(task).lower(), answer.text
    assert "error" not in task
    assert await settled(lambda: gauge(redis_server.client, one), 0) == 0


async def test_a_client_that_asks_for_no_end_gets_none(caller: Caller, key: Key) -> None:
    """Its stream may close while the task works: it looks later, or is told."""
    cut = replace(caller.script(), break_step=2, break_by="end")
    later = agents.route("agent03", configuration={"blocking": False})
    seen = [agents.events((await caller.plain(route, key, cut)).text) for route in (later, agents.route("agent03"))]

    assert ["error" in events[-1] for events in seen] == [False, True]
