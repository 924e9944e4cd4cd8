"""What a stream has reported is noted on that stream, and told where LiteLLM loses it; to another it has no bearing."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from litellm_cancel_guard.host.mends import messages, responses
from litellm_cancel_guard.terminal.failure import Failure, failure_of
from tests.terminal.loose import touch

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

LIMITED = {"type": "error", "code": "rate_limit_exceeded", "message": "slow down"}
UNTYPED = {"error": {"code": "rate_limit_exceeded", "message": "slow down"}}
FAILED = {"type": "response.failed", "response": {"error": {"code": "rate_limit_exceeded", "message": "slow down"}}}
WORD = {"type": "response.output_text.delta", "delta": 'an "error"'}
WHOLE = {"type": "response.completed", "response": {"error": None}}
END = [{"type": "message_delta"}, {"type": "message_stop"}]


async def lines(events: tuple[Any, ...]) -> AsyncIterator[str]:
    for event in events:
        if isinstance(event, Exception):
            raise event
        yield f"data: {json.dumps(event)}"


class Stream:
    """As LiteLLM's `ResponsesAPIStreamingIterator`, up to 1.103."""

    def __init__(self, *events: Any) -> None:
        self.stream_iterator: Any = lines(events)

    def _process_chunk(self, chunk: str) -> Any:
        event = json.loads(chunk.removeprefix("data: "))
        return event if "type" in event else None

    def _handle_failure(self, exception: Exception) -> None:
        pass

    def __aiter__(self) -> Stream:
        return self

    async def __anext__(self) -> Any:
        try:
            while (event := self._process_chunk(await self.stream_iterator.__anext__())) is None:
                pass
            return event
        except StopAsyncIteration:
            raise
        except Exception as error:
            self._handle_failure(error)
            raise


class Bridge:
    """As `AnthropicResponsesStreamWrapper`, 1.83: whatever becomes of its stream, it has ended well."""

    said: tuple[dict[str, Any], ...] = tuple(END)

    def __init__(self, stream: Any) -> None:
        self.responses_stream = stream
        self._left: list[dict[str, Any]] = []

    def __aiter__(self) -> Bridge:
        return self

    async def __anext__(self) -> Any:
        if self._left:
            return self._left.pop(0)
        try:
            async for event in self.responses_stream:
                if event["type"] == "response.output_text.delta":
                    return {"type": "content_block_delta"}
                if event["type"] in ("response.completed", "response.failed"):
                    self._left = list(self.said)
                    return self._left.pop(0)
        except Exception:
            raise StopAsyncIteration from None
        raise StopAsyncIteration


class Fixed(Bridge):
    """As 1.108 on: it tells the failure by itself."""

    said = ({"type": "error", "error": {"type": "rate_limit_error", "message": "in LiteLLM's words"}},)


responses._see_events(Stream, touch())
responses._see_failures(Stream, touch())
for kind in (Bridge, Fixed):
    messages._tell_failures(kind, touch())


async def told(stream: Any, bridge: Any = Bridge) -> list[Any]:
    return [chunk async for chunk in bridge(stream)]


async def raised(stream: Any) -> Exception | None:
    try:
        async for _ in stream:
            pass
    except Exception as error:
        return error
    return None


@pytest.mark.parametrize("failing", [LIMITED, UNTYPED, FAILED], ids=["error", "untyped", "failed"])
async def test_a_bridge_that_would_end_well_ends_in_the_failure_of_its_stream(failing: Any) -> None:
    *words, last = await told(Stream(WORD, failing))
    assert words == [{"type": "content_block_delta"}]
    assert last == {"type": "error", "error": {"type": "rate_limit_error", "message": "slow down", "code": "429"}}


async def test_a_connection_that_the_bridge_takes_for_an_end_is_told() -> None:
    (_, last) = await told(Stream(WORD, ConnectionResetError()))
    assert (last["error"]["type"], last["error"]["code"]) == ("api_error", "503")


async def test_a_bridge_that_tells_it_rightly_is_left_its_words() -> None:
    assert await told(Stream(FAILED), Fixed) == list(Fixed.said)


async def test_the_stream_that_answers_in_its_place_bears_no_note_of_another() -> None:
    await told(Stream(WORD, FAILED))
    assert await told(Stream(WORD, WHOLE)) == [{"type": "content_block_delta"}, *END]


async def test_what_is_whole_after_all_has_not_failed() -> None:
    assert await told(Stream(WORD, UNTYPED, WORD, WHOLE)) == [{"type": "content_block_delta"}] * 2 + END


async def test_an_error_without_a_type_ends_its_stream_in_it_and_not_in_silence() -> None:
    error = await raised(Stream(WORD, UNTYPED))
    assert error is not None
    assert failure_of(error).status == 429


async def test_what_a_stream_raises_of_its_failure_bears_the_number_that_it_had() -> None:
    stream = Stream(LIMITED, ValueError("500: a failure"))
    error = await raised(stream)
    assert error is not None
    wrapped = RuntimeError("litellm.MidStreamFallbackError")
    wrapped.original_exception = error  # type: ignore[attr-defined]
    assert failure_of(wrapped) == Failure(429, "slow down", None, "rate_limit_exceeded")


async def test_of_two_streams_the_last_to_fail_is_told() -> None:
    first = await raised(Stream(LIMITED, ValueError("first")))
    second = await raised(Stream({**LIMITED, "code": "server_error"}, ValueError("second")))
    assert second is not None
    second.__context__ = first
    assert failure_of(second).status == 500
