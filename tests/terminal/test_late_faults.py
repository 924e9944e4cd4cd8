"""What a failure behind a keep-alive becomes where the provider is not why, and where the guard itself fails."""

from __future__ import annotations

import asyncio
import inspect
import json
from typing import TYPE_CHECKING, Any

import litellm
import pytest
from fastapi import HTTPException
from fastapi.responses import JSONResponse, StreamingResponse
from litellm.proxy import common_request_processing as processing

from litellm_cancel_guard.host.mends import late
from litellm_cancel_guard.terminal import sighting
from tests.terminal.loose import touch

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

if not hasattr(processing, "open_sse_before_first_byte"):
    pytest.skip("this LiteLLM opens no answer before it is there", allow_module_level=True)

PING = ": ping\n\n"


@pytest.fixture(autouse=True)
def mend(monkeypatch: pytest.MonkeyPatch) -> None:
    # LiteLLM's own: where a guard has been mounted in this process before, it would be mended twice.
    monkeypatch.setattr(processing, "open_sse_before_first_byte", inspect.unwrap(processing.open_sse_before_first_byte))
    assert late.mend(touch())


class Request:
    """One on `/v1/messages`, and how often its failure hook was called."""

    def __init__(self, failing: Callable[[], Any], *, route: str = "anthropic_messages") -> None:
        self.reported: list[Exception] = []
        self.replacement: HTTPException | None = None
        self._failing = failing
        self._route = route
        self._go_on = asyncio.Event()

    async def _produce(self) -> Any:
        if self._route:
            sighting.begin(self._route)
        await self._go_on.wait()
        return self._failing()

    async def _report(self, error: Exception) -> HTTPException | None:
        self.reported.append(error)
        return self.replacement

    def open(self, seconds: float | None) -> Awaitable[Any]:
        opening: Awaitable[Any] = processing.open_sse_before_first_byte(
            self._produce(), ping_interval_seconds=seconds, on_late_failure=self._report
        )
        return opening

    async def late(self) -> str:
        """What is written behind the first ping."""
        answer = await self.open(0.01)
        pieces = answer.body_iterator.__aiter__()
        assert (await anext(pieces)).decode() == PING
        self._go_on.set()
        written = "".join([piece.decode() async for piece in pieces])
        return written.replace(PING, "")

    async def soon(self, seconds: float | None) -> Any:
        self._go_on.set()
        return await self.open(seconds)


def limited() -> Any:
    raise litellm.RateLimitError("litellm.RateLimitError: slow down", llm_provider="anthropic", model="claude")


def blocked() -> Any:
    raise HTTPException(400, {"error": "not about that"})


def event(kind: str, message: str) -> str:
    return f'event: error\ndata: {{"type":"error","error":{{"type":"{kind}","message":"{message}"}}}}\n\n'


async def test_it_has_the_providers_words() -> None:
    request = Request(limited)
    assert await request.late() == event("rate_limit_error", "slow down")
    assert len(request.reported) == 1


async def test_a_refusal_of_litellms_own_keeps_its_words() -> None:
    written = await Request(blocked).late()
    assert written.startswith('event: error\ndata: {"type":"error","error":{"type":"invalid_request_error"')
    assert "not about that" in written


async def test_what_the_failure_hook_puts_in_its_place_is_told() -> None:
    request = Request(limited)
    request.replacement = HTTPException(503, "come back tomorrow")
    assert await request.late() == event("api_error", "come back tomorrow")
    assert len(request.reported) == 1


@pytest.mark.parametrize("streamed", [False, True])
async def test_an_answer_that_is_an_error_becomes_an_event(*, streamed: bool) -> None:
    said = {"error": {"message": "blocked", "type": "None", "param": "None", "code": "403"}}

    async def frames() -> AsyncIterator[str]:
        yield f"data: {json.dumps(said)}\n\n"
        yield "data: [DONE]\n\n"

    answer = StreamingResponse(frames(), 403) if streamed else JSONResponse(said, 403)
    assert await Request(lambda: answer).late() == event("permission_error", "blocked")


async def test_an_error_without_words_is_one() -> None:
    said = await Request(lambda: JSONResponse(["?"], 502)).late()
    assert said == event("api_error", "The provider's stream failed.")


async def test_a_whole_answer_is_litellms() -> None:
    async def frames() -> AsyncIterator[str]:
        yield 'data: {"error": "is a word"}\n\n'

    assert await Request(lambda: StreamingResponse(frames())).late() == 'data: {"error": "is a word"}\n\n'


@pytest.mark.parametrize("route", ["", "pass_through_endpoint"])
async def test_a_route_that_the_guard_does_not_speak_is_litellms(route: str) -> None:
    request = Request(limited, route=route)
    assert (await request.late()).endswith("data: [DONE]\n\n")
    assert len(request.reported) == 1


async def test_a_fault_leaves_the_failure_to_litellm_and_reports_it_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(late, "whole_error", lambda *_: 1 / 0)
    for request in (Request(limited), Request(lambda: JSONResponse({"error": {}}, 429))):
        assert (await request.late()).endswith("data: [DONE]\n\n")
        assert len(request.reported) <= 1
    assert caplog.text.count("ZeroDivisionError: division by zero") == 2
    assert "cancel_guard: a late failure ends as LiteLLM ends it" in caplog.text


@pytest.mark.parametrize("seconds", [None, 60.0])
async def test_what_fails_before_a_ping_is_raised_and_not_reported_here(seconds: float | None) -> None:
    request = Request(limited)
    with pytest.raises(litellm.RateLimitError):
        await request.soon(seconds)
    assert request.reported == []


@pytest.mark.parametrize("seconds", [None, 60.0])
async def test_an_answer_before_a_ping_is_the_very_one(seconds: float | None) -> None:
    answer = JSONResponse({}, 429)
    assert await Request(lambda: answer).soon(seconds) is answer


async def test_a_client_that_leaves_cancels_the_request() -> None:
    request = Request(limited)
    answer = await request.open(0.01)
    pieces = answer.body_iterator
    await anext(pieces)
    await pieces.aclose()
    assert (request.reported, len(asyncio.all_tasks())) == ([], 1)
