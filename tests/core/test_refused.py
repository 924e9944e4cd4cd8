"""A client that is refused is told cause, cap, how many are in flight and when to come back, in every protocol."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest
from starlette.responses import JSONResponse

from litellm_cancel_guard.host.refused import Refused
from litellm_cancel_guard.host.serving import Noted, admitted, refused

if TYPE_CHECKING:
    from collections.abc import Callable

    App = Callable[..., Any]

POST = {"type": "http", "method": "POST", "path": "/", "headers": []}
SOCKET = {"type": "websocket", "path": "/", "headers": []}
FULL = Refused(429, 7, "max_parallel_requests", limit=4, in_flight=4)
DATA = {"cause": "max_parallel_requests", "limit": 4, "in_flight": 4, "retry_after": 7}
HEADERS = {
    "retry-after": "7",
    "x-cancel-guard-cause": "max_parallel_requests",
    "x-cancel-guard-limit": "4",
    "x-cancel-guard-in-flight": "4",
}
START = {"type": "http.response.start", "status": 429, "headers": [(b"content-type", b"text/plain")]}


async def sent(app: App, scope: dict[str, Any] = POST, act: Callable[[], object] = lambda: refused(FULL)) -> list[Any]:
    """What the server is handed of *app*'s answer where *act* was done in a task of the request."""
    messages: list[Any] = []

    async def send(message: Any) -> None:
        messages.append(message)

    async def served(scope: Any, receive: Any, send: Any) -> None:
        async def inner() -> None:
            act()

        await asyncio.create_task(inner())
        await app(scope, receive, send)

    await asyncio.create_task(Noted(served)(dict(scope), None, send))
    return messages


def saying(*messages: Any) -> App:
    async def app(_: Any, __: Any, send: Any) -> None:
        for message in messages:
            await send(message)

    return app


def headers_of(start: Any) -> dict[str, str]:
    names = [name.decode() for name, _ in start["headers"]]
    assert len(names) == len(set(names)), names
    return {name.decode(): value.decode() for name, value in start["headers"]}


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"error": {"message": "full", "type": "None", "param": "None", "code": "429"}}, ["error"]),
        ({"type": "error", "error": {"type": "rate_limit_error", "message": "full"}}, ["error"]),
        ({"detail": "full"}, []),
    ],
    ids=["OpenAI's and Google's", "Anthropic's", "of LiteLLM's own routes"],
)
@pytest.mark.parametrize("delay", [{}, {"Retry-After": "7"}], ids=["none", "ours"])
async def test_headers_and_the_error_of_a_json_body_say_it(
    body: dict[str, Any], path: list[str], delay: dict[str, str]
) -> None:
    start, answer = await sent(JSONResponse(body, 429, headers=delay))

    told = json.loads(answer["body"])
    place = told
    for name in path:
        place = place[name]
    assert place.pop("cancel_guard") == DATA
    assert told == body
    told_by = headers_of(start)
    assert HEADERS.items() <= told_by.items()
    assert told_by["content-length"] == str(len(answer["body"]))


async def test_a_body_in_pieces_says_it_too() -> None:
    start = {**START, "headers": [(b"content-type", b"application/json"), (b"content-length", b"27")]}
    pieces = [b'{"error":{"mess', b'age":"full"}}', b""]
    bodies = [{"type": "http.response.body", "body": piece, "more_body": piece != b""} for piece in pieces]
    _, answer = await sent(saying(start, *bodies))

    assert json.loads(answer["body"]) == {"error": {"message": "full", "cancel_guard": DATA}}
    assert not answer.get("more_body")


TEXT = {"type": "http.response.body", "body": b"full"}


async def test_of_a_body_that_is_no_json_the_headers_say_it() -> None:
    start, answer = await sent(saying(START, TEXT))

    assert HEADERS.items() <= headers_of(start).items()
    assert answer is TEXT
    assert START["headers"] == [(b"content-type", b"text/plain")]


@pytest.mark.parametrize("body", [b"{", b"\xff{", b"[1]", b'"full"', b'{"error":"full"}', b"[" * 60_000], ids=range(6))
async def test_a_body_of_another_shape_goes_out_as_it_is(body: bytes) -> None:
    start = {**START, "headers": [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]}
    told, answer = await sent(saying(start, {"type": "http.response.body", "body": body}))

    assert answer["body"] == body
    assert headers_of(told)["content-length"] == str(len(body))


async def test_a_long_body_goes_out_as_it_is_and_is_not_kept() -> None:
    start = {**START, "headers": [(b"content-type", b"application/json")]}
    piece: Any = {"type": "http.response.body", "body": b'{"error":{}}' + b" " * 30_000, "more_body": True}
    messages = await sent(saying(start, piece, piece, piece, {"type": "http.response.body"}))

    assert b"".join(message.get("body", b"") for message in messages) == piece["body"] * 3
    assert len(messages) == 3


def refused_and_admitted() -> None:
    refused(FULL)
    admitted()


@pytest.mark.parametrize(
    ("message", "act"),
    [
        pytest.param({**START, "headers": [(b"Retry-After", b"60")]}, lambda: refused(FULL), id="another delay"),
        pytest.param({**START, "status": 200}, lambda: refused(FULL), id="an answer after all"),
        pytest.param(START, refused_and_admitted, id="of a request that was admitted later"),
        pytest.param(START, lambda: None, id="of a provider"),
        pytest.param({**START, "headers": 5}, lambda: refused(FULL), id="headers that are none"),
    ],
)
async def test_every_other_answer_goes_out_as_it_is(message: Any, act: Callable[[], object]) -> None:
    started, answer = await sent(saying(message, TEXT), act=act)

    assert started is message
    assert answer is TEXT


async def test_a_websocket_that_is_refused_says_it_in_its_event_and_in_the_reason_of_its_end() -> None:
    event = {"type": "error", "error": {"type": "invalid_request_error", "message": "full"}}
    close = {"type": "websocket.close", "code": 1011, "reason": "Pre-call error"}
    said, closed = await sent(saying({"type": "websocket.send", "text": json.dumps(event)}, close), SOCKET)

    assert json.loads(said["text"])["error"] == {**event["error"], "cancel_guard": DATA}  # type: ignore[dict-item]
    assert closed["code"] == 1011
    assert closed["reason"] == "cause=max_parallel_requests limit=4 in_flight=4 retry_after=7"


async def test_a_websocket_that_was_not_refused_ends_as_ever() -> None:
    close = {"type": "websocket.close", "code": 1011, "reason": "Pre-call error"}

    assert await sent(saying(close), SOCKET, lambda: None) == [close]


def test_the_reason_of_a_close_has_room_for_the_largest_numbers() -> None:
    longest = Refused(429, 60, "max_parallel_requests", limit=2**63, in_flight=2**63)

    assert len(longest.reason().encode()) <= 123


def test_where_nobody_can_tell_what_is_in_flight_nothing_is_said_of_it() -> None:
    unknown = Refused(503, 1, "count_unknown")

    assert unknown.data() == {"cause": "count_unknown", "retry_after": 1}
    assert dict(unknown.headers()) == {b"retry-after": b"1", b"x-cancel-guard-cause": b"count_unknown"}
