"""A client is told how long its request has waited in line, on whatever answer follows, and else nothing."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from starlette.responses import JSONResponse

from litellm_cancel_guard.host.refused import Refused
from litellm_cancel_guard.host.serving import Noted, refused, seen_now
from litellm_cancel_guard.ledger.registry import Request

if TYPE_CHECKING:
    from collections.abc import Callable

    App = Callable[..., Any]

POST = {"type": "http", "method": "POST", "path": "/", "headers": []}
SOCKET = {"type": "websocket", "path": "/", "headers": []}
NAME = "x-cancel-guard-waited-ms"


async def answered(app: App, *waits: float, scope: dict[str, Any] = POST) -> list[Any]:
    """What the server is handed of *app*'s answer to a request that has waited so often, and so many seconds each."""
    messages: list[Any] = []

    async def send(message: Any) -> None:
        messages.append(message)

    async def served(scope: Any, receive: Any, send: Any) -> None:
        one = Request("acompletion")
        _, one.asked = seen_now()
        for seconds in waits:
            one.has_waited(seconds)
        await app(scope, receive, send)

    await asyncio.create_task(Noted(served)(dict(scope), None, send))
    return messages


def told(messages: list[Any]) -> list[str]:
    return [value.decode() for name, value in messages[0]["headers"] if name.decode() == NAME]


def refusing(full: Refused) -> App:
    async def app(*given: Any) -> None:
        refused(full)
        await JSONResponse({"error": {"message": "full"}}, 429)(*given)

    return app


@pytest.mark.parametrize(("waits", "said"), [((), []), ((1.2345,), ["1234"]), ((0.0001,), ["0"]), ((1, 0.5), ["1500"])])
async def test_an_answer_says_how_long_its_request_waited_in_whole_milliseconds_and_without_a_wait_nothing(
    waits: tuple[float, ...], said: list[str]
) -> None:
    assert told(await answered(JSONResponse({}), *waits)) == said
    assert told(await answered(silent, *waits)) == said


async def silent(_: Any, __: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 204, "headers": ()})
    await send({"type": "http.response.body"})


async def test_a_refusal_after_a_wait_says_so_beside_its_cause() -> None:
    messages = await answered(refusing(Refused(429, 7, "max_parallel_requests", limit=4, in_flight=4)), 2)
    headers = {name.decode(): value.decode() for name, value in messages[0]["headers"]}
    assert (headers[NAME], headers["retry-after"], headers["x-cancel-guard-in-flight"]) == ("2000", "7", "4")


async def test_what_a_guard_before_the_provider_said_of_its_own_line_is_not_said_as_well() -> None:
    theirs = {"X-Cancel-Guard-Waited-Ms": "9"}
    assert told(await answered(JSONResponse({}, headers=theirs), 2)) == ["2000"]
    assert told(await answered(JSONResponse({}, headers=theirs))) == ["9"]


async def test_an_answer_that_an_application_gives_more_than_once_is_not_changed() -> None:
    answer = JSONResponse({})
    assert told(await answered(answer, 2)) == ["2000"]
    assert told(await answered(answer)) == []


async def test_over_a_websocket_nothing_is_said() -> None:
    messages: list[Any] = [{"type": "websocket.accept", "headers": []}, {"type": "websocket.close", "code": 1000}]

    async def app(_: Any, __: Any, send: Any) -> None:
        for message in messages:
            await send(message)

    assert await answered(app, 2, scope=SOCKET) == messages
