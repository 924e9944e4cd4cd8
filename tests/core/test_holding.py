"""What a worker says of who holds its slots is bounded, and read with whatever lies there."""

from __future__ import annotations

from typing import Any

import pytest

from litellm_cancel_guard.host.about import about
from litellm_cancel_guard.lease import holders
from litellm_cancel_guard.lease.holders import (
    MOST_IN_THE_WAY,
    MOST_REFUSALS,
    MOST_SLOTS,
    About,
    Holder,
    Holding,
    Refusal,
)
from litellm_cancel_guard.lease.lease import Admission, Lease
from litellm_cancel_guard.ledger.holding import Holdings
from litellm_cancel_guard.ledger.refusals import Refusals
from litellm_cancel_guard.ledger.registry import Registry, Request


class Key:
    key_alias, team_alias, team_id, user_id, end_user_id = "ci", None, "team-7", 3, "\x1b[31mred" + "x" * 500
    request_route, token = "/v1/chat/completions", "hash"


class Closer:
    def __init__(self) -> None:
        self.bytes = 0

    def received(self) -> int:
        return self.bytes


def held_by(said: About) -> Holder:
    registry, request = Registry(), Request("acompletion")
    request.about = said
    registry.hold(request, Lease.new("api_key:x", "acompletion"), 4)
    shown = Holdings(registry).now()
    assert shown is not None
    [holder] = shown.holders.values()
    return holder


def test_of_a_request_only_what_is_asked_for_is_kept_and_all_of_it_is_short_and_printable() -> None:
    data = {"model": "gpt", "litellm_call_id": "c" * 500, "messages": ["a prompt"], "metadata": {"x": "y"}}
    assert held_by(about(data, Key(), ())) == Holder("gpt", "c" * 128, "/v1/chat/completions")
    detailed = held_by(about(data, Key(), ("alias", "team", "user", "end_user", "address")))
    assert detailed.detail == {"alias": "ci", "team": "team-7", "end_user": "[31mred" + "x" * 120}
    assert held_by(about(None, None, ("alias", "address"))) == Holder()


@pytest.mark.parametrize(("own", "clients"), [("metadata", "litellm_metadata"), ("litellm_metadata", "metadata")])
def test_an_address_is_what_litellm_says_and_not_what_a_client_names(own: str, clients: str) -> None:
    named = {"requester_ip_address": "6.6.6.6", "user_api_key_auth": {"token": "hash"}}
    noted = {"requester_ip_address": "10.0.0.1", "user_api_key_auth": Key()}
    assert held_by(about({own: noted, clients: named}, Key(), ("address",))).detail == {"address": "10.0.0.1"}
    assert held_by(about({clients: named}, Key(), ("address",))).detail == {}


def test_of_many_slots_some_are_told_and_the_rest_is_counted() -> None:
    registry = Registry()
    for _ in range(MOST_SLOTS + 7):
        registry.hold(Request("acompletion"), Lease.new("api_key:x", "acompletion"), 9999)
    said = Holdings(registry).now()
    assert said is not None
    assert (len(said.holders), said.left_out) == (MOST_SLOTS, 7)
    assert holders.read(said.text()) == said


def test_a_stream_is_quiet_since_its_bytes_were_last_seen_to_grow(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr("litellm_cancel_guard.ledger.holding.time.monotonic", lambda: now[0])
    registry, request, lease = Registry(), Request("acompletion"), Lease.new("api_key:x", "acompletion")
    registry.hold(request, lease, 4)
    looking = Holdings(registry)

    def quiet() -> float | None:
        said = looking.now()
        assert said is not None
        return said.holders[lease.id].quiet

    assert quiet() is None, "there is no stream"
    request.closer = closer = Closer()
    seen = []
    for received in (0, 10, 10, 10, 20):
        closer.bytes, now[0] = received, now[0] + 10
        seen.append(quiet())
    assert seen == [0, 0, 10, 20, 0]


def test_refusals_are_kept_for_a_while_and_not_without_a_call_id(monkeypatch: pytest.MonkeyPatch) -> None:
    refusals, way = Refusals(), tuple(map(str, range(99)))
    refusals.note((None, None, None, {}), "api_key:x", 4, Admission(False, 4))
    assert refusals.kept() == ()
    for number in range(MOST_REFUSALS + 5):
        refusals.note((None, f"call-{number}", None, {}), "api_key:x", 4, Admission(False, 99, holders=way))
    kept = refusals.kept()
    assert [kept[0].call_id, len(kept), len(kept[0].holders)] == ["call-5", MOST_REFUSALS, MOST_IN_THE_WAY]
    later = kept[0].at + 901
    monkeypatch.setattr("litellm_cancel_guard.ledger.refusals.time.time", lambda: later)
    assert refusals.kept() == ()


@pytest.mark.parametrize(
    "text", [None, "", "nothing", "[]", "7", '{"holders": 7}', '{"holders": {"a": 7}}', '{"refusals": [{"at": 1}]}']
)
def test_what_can_not_be_read_says_nothing(text: Any) -> None:
    assert holders.read(text) == Holding()


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_a_number_that_no_json_has_is_none(number: str) -> None:
    """The admin routes would answer 500 for all slots of all keys."""
    for name in ("quiet", "waited"):
        assert holders.read(f'{{"holders": {{"a": {{"{name}": {number}}}}}}}') == Holding({"a": Holder()})


def test_what_a_newer_guard_says_more_is_left_out() -> None:
    said = holders.read('{"holders": {"a": {"model": "gpt", "mood": "good"}}, "weather": "fine"}')
    assert said == Holding({"a": Holder("gpt")})
    assert Refusal("c", 1.0, "k", 4, 4) == Refusal("c", 1.0, "k", 4, 4, ())
