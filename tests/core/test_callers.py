"""Who asks is told apart by what `fair_by` names, in its order; of the name nothing but a keyed hash is kept."""

from __future__ import annotations

import asyncio
import gc
import sys
from types import SimpleNamespace
from typing import Any

import pytest

from litellm_cancel_guard.host.lining import line_up
from litellm_cancel_guard.host.serving import Noted, seen_now
from litellm_cancel_guard.lease.lease import Lease, turns_of
from litellm_cancel_guard.ledger.registry import Request
from litellm_cancel_guard.settings import Settings

POST = {"type": "http", "method": "POST", "path": "/", "headers": []}
SOCKET = {"type": "websocket", "path": "/", "headers": []}
AGENT, SESSION, THREAD = b"x-claude-code-agent-id", b"x-claude-code-session-id", b"thread-id"
WAITS = Settings(max_wait_seconds=5)


async def called(
    headers: Any, *, end_user: Any = None, scope: dict[str, Any] = POST, by: Any = None, of_key: Any = None
) -> Request:
    """A request with those *headers*, under a `fair_by` of the settings or of its key."""
    settings = WAITS if by is None else Settings(max_wait_seconds=5, fair_by=by)
    metadata = {} if of_key is None else {"cancel_guard": {"fair_by": of_key}}
    key = SimpleNamespace(end_user_id=end_user, metadata=metadata, api_key="k")
    data = {"metadata": {"user_api_key_auth": key, "requester_ip_address": "10.0.0.1"}}
    one = Request("acompletion")

    async def app(*_: Any) -> None:
        one.asked = seen_now()[1]
        line_up(one, settings, key, data)

    await Noted(app)({**scope, "headers": headers}, None, None)
    return one


async def caller(*headers: tuple[bytes, bytes], **said: Any) -> int:
    one = await called(list(headers), **said)
    assert one.turn is not None
    assert one.turn.of[:15] == f"{one.caller:016x}"[:15]
    return one.caller


async def test_by_its_agent_then_its_session_then_its_thread_then_its_end_user() -> None:
    agent = await caller((SESSION, b"s"), (AGENT, b"a"), end_user="u")

    assert agent == await caller((AGENT, b"a"), (SESSION, b"other"))
    assert agent == await caller((AGENT, b"a"), scope=SOCKET)
    session = await caller((THREAD, b"t"), (SESSION, b"s"), end_user="u")
    assert session == await caller((SESSION, b"s"))
    thread = await caller((THREAD, b"t"), end_user="u")
    assert thread == await caller((THREAD, b"t"))
    user = await caller(end_user="u")
    assert len({agent, session, thread, user, await caller((AGENT, b"b"))}) == 5


async def test_by_the_headers_that_an_operator_names_in_whatever_case() -> None:
    team = await caller((b"x-team", b"red"), (AGENT, b"a"), by=["X-Team"])

    assert team == await caller((b"x-team", b"red"), (AGENT, b"b"), by=["x-TEAM", "X-Claude-Code-Agent-Id"])
    assert team != await caller((b"x-team", b"blue"), (AGENT, b"a"), by=["X-Team"])
    assert await caller((AGENT, b"a"), end_user="u", by=["X-Team"]) == 0
    assert await caller((b"x-team", b"red"), (AGENT, b"a"), end_user="u", by=[]) == 0


async def turns(*headers: tuple[bytes, bytes], **said: Any) -> int:
    one = await called(list(headers), **said)
    assert one.turn is not None
    return turns_of(one.turn.of)


async def test_with_as_many_turns_as_are_behind_the_name_that_told() -> None:
    by = ["X-Claude-Code-Agent-Id", "X-Claude-Code-Session-Id=4", "end_user=16", "x-claude-code-session-id=2"]

    assert await turns((AGENT, b"a"), (SESSION, b"s"), end_user="u", by=by) == 1
    assert await turns((SESSION, b"s"), end_user="u", by=by) == 4
    assert await turns(end_user="u", by=by) == 16
    assert await turns(by=by) == 1
    assert await turns((SESSION, b"s"), of_key=["X-Claude-Code-Session-Id=3"]) == 3
    assert await turns((SESSION, b"s"), of_key=["X-Claude-Code-Session-Id=17"]) == 1


async def test_who_has_several_turns_is_the_same_as_with_one() -> None:
    one, four = [await called([(SESSION, b"s")], by=[f"X-Claude-Code-Session-Id={turns}"]) for turns in (1, 4)]
    assert one.turn is not None
    assert four.turn is not None

    assert one.caller == four.caller
    assert (one.turn.of, four.turn.of) == (f"{one.caller:016x}", f"{one.caller:016x}"[:15] + "i")


async def test_by_the_address_that_litellm_has_found() -> None:
    assert await caller(by=["address"]) == await caller(by=["X-Team", "address"]) != 0


async def test_by_what_the_key_says_rather_than_the_settings() -> None:
    of_key = await caller((b"x-team", b"red"), (AGENT, b"a"), of_key=["X-Team"])

    assert of_key == await caller((b"x-team", b"red"), by=["X-Team"])
    assert await caller((AGENT, b"a"), of_key="X-Team,") == 0
    assert await caller((AGENT, b"a"), of_key=[]) == 0
    assert await caller((AGENT, b"a"), of_key=["no such name"]) == await caller((AGENT, b"a"))


async def test_a_tool_that_is_called_inside_an_answer_is_of_who_asked_for_that() -> None:
    one = await called([(AGENT, b"a")])
    before, one.lease = one.caller, Lease("api_key:k")
    line_up(one, Settings(fair_by=("address",)), SimpleNamespace(metadata={}), {})

    assert (one.caller, before != 0) == (before, True)


async def test_of_a_header_that_came_twice_by_the_first() -> None:
    assert await caller((AGENT, b"a"), (AGENT, b"b")) == await caller((AGENT, b"a"))


@pytest.mark.parametrize("end_user", [None, "", 5, ["u"], {"u": 1}])
async def test_who_names_nobody_is_one_with_all_who_do_not(end_user: Any) -> None:
    assert await caller((AGENT, b""), end_user=end_user) == 0


async def test_an_empty_header_leaves_it_to_the_next_name() -> None:
    assert await caller((AGENT, b""), (SESSION, b"s")) == await caller((SESSION, b"s"))


@pytest.mark.parametrize("headers", [None, 5, [5], [(AGENT,)], [(AGENT, "a")], [[AGENT, None]]], ids=repr)
async def test_headers_of_no_shape_name_nobody_and_break_no_request(headers: Any) -> None:
    assert (await called(headers)).caller == 0


async def test_a_name_of_a_megabyte_or_of_no_text_is_one_like_another_and_none_is_kept() -> None:
    long = await called([(AGENT, b"a" * 2**20)])

    assert 0 < long.caller < 2**64
    assert 0 < await caller((AGENT, b"\xff\x00")) < 2**64
    assert 0 < await caller(end_user="\ud800") < 2**64
    assert 0 < await caller(end_user="u" * 2**20) < 2**64
    assert long.asked is not None
    assert long.asked.headers == ()


async def test_what_goes_on_behind_an_answer_keeps_no_header_of_it() -> None:
    """LiteLLM's first request begins tasks that have its context for as long as the worker lives."""
    name, kept = b"a" * 2**16, []
    before = sys.getrefcount(name)

    async def app(*_: Any) -> None:
        kept.append(asyncio.ensure_future(asyncio.Event().wait()))

    await asyncio.create_task(Noted(app)({**POST, "headers": [(AGENT, name)]}, None, None))
    gc.collect()
    assert sys.getrefcount(name) == before
    kept[0].cancel()
