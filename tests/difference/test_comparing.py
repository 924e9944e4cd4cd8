"""What a difference is, and what no allowance may hide."""

from __future__ import annotations

import copy
import json
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from tests.difference.allowed import judged
from tests.difference.cases import CASES, Case
from tests.difference.limits import KINDS
from tests.difference.play import Seen, Side

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.difference.compare import Difference
    from tests.harness.proxy import Proxy

NAMED = {case.name: case for case in CASES}
WHOLE, MID, LEFT = (NAMED[f"chat-{act}-everything"] for act in ("whole", "mid429", "left_mid"))
TOKENS = "{api_key:KEY}:tokens"


def success(words: int, prompt: int = 0) -> dict[str, Any]:
    counted = {"prompt_tokens": prompt, "completion_tokens": words, "total_tokens": prompt + words}
    return {"event": "success", **counted, "response_cost": (prompt + words) / 1000}


def chunk(text: str) -> str:
    return f"data: {json.dumps({'choices': [{'delta': {'content': text}}]})}\n\n"


def side(number: int, case: Case, log: str = "") -> Side:
    """Somebody who has asked for two words, got them, and was counted nine tokens."""
    key = KINDS[case.kind.name].key()
    body = chunk("word0 ") + chunk("word1 ") + "data: [DONE]\n\n"
    told = [{"event": "pre_call", "call_type": "acompletion"}, success(9)]
    seen = Seen(key, 200, [("x-a", "1")], body, "whole", 1, told)
    stored = {f"{{api_key:{key.key.name}}}:tokens": {"type": "string", "value": "9", "lives": 3600}}
    proxy = cast("Proxy", SimpleNamespace(text=lambda: log))
    return Side(proxy, cast("Any", None), number, {case: seen}, stored)


def found(case: Case, change: Callable[[Seen, Side], object] = lambda seen, side: None) -> list[Difference]:
    """What is found where the guarded side differs by that."""
    guarded = side(1, case)
    change(guarded.seen[case], guarded)
    return judged(side(0, case), guarded)


def tokens(side: Side, value: int) -> None:
    next(iter(side.stored.values()))["value"] = str(value)


@pytest.mark.parametrize("case", [WHOLE, MID, LEFT], ids=str)
def test_two_that_do_the_same_for_keys_of_different_names_do_not_differ(case: Case) -> None:
    assert found(case) == []


HARM: dict[str, Callable[[Seen, Side], object]] = {
    "another status": lambda seen, side: setattr(seen, "status", 500),
    "a connection that breaks": lambda seen, side: setattr(seen, "end", "broken off"),
    "a header lost": lambda seen, side: seen.headers.clear(),
    "a header's value": lambda seen, side: setattr(seen, "headers", [("x-a", "2")]),
    "a word lost": lambda seen, side: setattr(seen, "body", seen.body.replace("word1 ", "")),
    "a word lost, and an error": lambda seen, side: setattr(
        seen, "body", chunk("word0 ") + 'data: {"error": {"message": "scripted 429"}}\n\n'
    ),
    "an event lost": lambda seen, side: seen.told.pop(),
    "an event twice": lambda seen, side: seen.told.append(copy.copy(seen.told[-1])),
    "a success of other tokens": lambda seen, side: seen.told.__setitem__(1, success(8)),
    "no tokens counted": lambda seen, side: side.stored.clear(),
    "fewer tokens counted": lambda seen, side: tokens(side, 8),
    "more tokens counted": lambda seen, side: tokens(side, 10),
    "tokens given back twice": lambda seen, side: tokens(side, -63),
    "tokens that never go away": lambda seen, side: next(iter(side.stored.values())).update(lives=-1),
    "a provider asked twice": lambda seen, side: setattr(seen, "asked", 2),
}


@pytest.mark.parametrize("case", [WHOLE, MID, LEFT], ids=str)
@pytest.mark.parametrize("name", HARM)
def test_no_allowance_hides(name: str, case: Case) -> None:
    differences = found(case, HARM[name])
    assert differences
    assert {difference.allowed for difference in differences} == {None}


def test_what_a_traceback_in_the_guarded_log_ends_with_is_a_difference() -> None:
    bare, guarded = side(0, WHOLE, "KeyError: 1\n"), side(1, WHOLE, "KeyError: 1\nTypeError: 2\n")
    assert [(one.channel, one.where, one.allowed) for one in judged(bare, guarded)] == [("log", "TypeError", None)]


def test_slots_are_no_difference() -> None:
    def hold(seen: Seen, side: Side) -> None:
        name = seen.key.key.name
        side.stored[f"{{api_key:{name}}}:max_parallel_requests"] = {"type": "zset", "value": 1, "lives": 30}
        side.stored["cancel_guard:worker:1"] = {"type": "string", "value": "x", "lives": 30}

    assert found(WHOLE, hold) == []


def test_a_failed_stream_may_end_in_the_providers_words_and_be_told_as_failed() -> None:
    def fail(seen: Seen, side: Side) -> None:
        event = {"error": {"message": "scripted 429", "type": "rate_limit_error", "param": None, "code": "429"}}
        seen.body = seen.body.replace("data: [DONE]", f"data: {json.dumps(event)}\n\ndata: [DONE]")
        seen.told[-1] = {**success(9), "event": "failure"}
        seen.told.append({"event": "failure_hook", "exception_status": "429"})

    assert [(one.channel, one.where, one.allowed) for one in found(MID, fail)] == [
        ("body", "", "last event"),
        ("told", "hooks", "told as failed"),
        ("told", "log events", "told as failed"),
    ]
    assert {one.allowed for one in found(WHOLE, fail)} == {None}


@pytest.mark.parametrize(("counted", "allowed"), [(6, "told as failed"), (5, None), (8, None)])
def test_litellm_may_count_of_a_failed_stream_what_came_without_its_prompt(counted: int, allowed: str | None) -> None:
    bare, guarded = side(0, MID), side(1, MID)
    bare.seen[MID].told[-1] = success(6, prompt=3)
    guarded.seen[MID].told[-1] = {**success(counted), "event": "failure"}
    assert [(one.where, one.allowed) for one in judged(bare, guarded)] == [("log events", allowed)]


def team_tokens(side: Side, team: int, model: int) -> None:
    ident = next(iter(side.seen.values())).key.ident
    for scope, value in ((f"team:team-{ident}", team), (f"model_per_team:team-{ident}:gpt", model)):
        side.stored[f"{{{scope}}}:tokens"] = {"type": "string", "value": str(value), "lives": 3600}


@pytest.mark.parametrize(("model", "allowed"), [(75, "reserved twice"), (74, None), (0, None)])
def test_what_a_team_may_use_of_a_model_differs_by_as_much_as_what_it_may_use(model: int, allowed: str | None) -> None:
    """LiteLLM reserves 72 twice of the one, and gives them back twice of both: the guard gives them back once."""
    bare, guarded = side(0, WHOLE), side(1, WHOLE)
    team_tokens(bare, team=-69, model=3)
    team_tokens(guarded, team=3, model=model)
    assert {one.where.split(":")[0][1:]: one.allowed for one in judged(bare, guarded)} == {
        "team": "refunded twice",
        "model_per_team": allowed,
    }


@pytest.mark.parametrize(
    ("case", "bare", "guarded", "allowed"),
    [(MID, 17, 9, "refunded twice"), (MID, 18, 9, None), (MID, 17, 8, None), (MID, 9, 17, None), (WHOLE, 17, 9, None)],
)
def test_a_reservation_may_be_settled_once_where_bare_litellm_does_it_twice(
    case: Case, bare: int, guarded: int, allowed: str | None
) -> None:
    """Reserved 1, used 9 before the stream broke: bare counts 1 + (9 - 1) + (9 - 1)."""
    one, other = side(0, case), side(1, case)
    for at, counted in ((one, bare), (other, guarded)):
        at.seen[case].told[-1] = {**success(9), "event": "failure"}
        tokens(at, counted)
    assert [(found.channel, found.allowed) for found in judged(one, other)] == [("redis", allowed)]


@pytest.mark.parametrize(("case", "allowed"), [(MID, "broken off"), (WHOLE, None), (LEFT, None)])
def test_a_stream_that_fails_may_end_where_bare_litellm_breaks_it_off(case: Case, allowed: str | None) -> None:
    bare, guarded = side(0, case), side(1, case)
    bare.seen[case].end = "broken off"
    assert [(one.channel, one.allowed) for one in judged(bare, guarded)] == [("status", allowed)]


@pytest.mark.parametrize(("words", "allowed"), [("went wrong", "last event"), ("something else", None)])
def test_the_error_may_say_in_litellms_words_what_the_provider_has_not_said(words: str, allowed: str | None) -> None:
    def ends(seen: Seen, said: str) -> None:
        event = {"error": {"message": said, "type": "server_error"}}
        seen.body = seen.body.replace("data: [DONE]", f"data: {json.dumps(event)}")

    bare, guarded = side(0, MID), side(1, MID)
    ends(bare.seen[MID], "litellm.InternalServerError: InternalServerError: went wrong")
    ends(guarded.seen[MID], words)
    assert [(one.channel, one.allowed) for one in judged(bare, guarded)] == [("body", allowed)]


@pytest.mark.parametrize(("case", "allowed"), [(NAMED["chat-whole-cap"], "no window"), (WHOLE, None)])
def test_the_window_in_which_older_litellms_count_slots_may_be_missing(case: Case, allowed: str | None) -> None:
    bare, guarded = side(0, case), side(1, case)
    window = f"{{api_key:{bare.seen[case].key.key.name}}}:window"
    bare.stored[window] = {"type": "string", "value": "1796000000", "lives": 60}
    assert [(one.where, one.allowed) for one in judged(bare, guarded)] == [("{api_key:KEY}:window", allowed)]
