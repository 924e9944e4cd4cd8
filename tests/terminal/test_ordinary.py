"""A chunk that is passed over is one that reading it would have made nothing of."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from litellm_cancel_guard.terminal.events import Protocol
from litellm_cancel_guard.terminal.readings import reading_of

if TYPE_CHECKING:
    from litellm_cancel_guard.terminal.reading import Reading


def frame(event: str, data: str) -> bytes:
    return f"event: {event}\ndata: {data}\n\n".encode()


WORDS = frame("content_block_delta", '{"type": "content_block_delta", "delta": {"text": "hello"}}')
OF_ERRORS = frame("content_block_delta", '{"type": "content_block_delta", "delta": {"text": "an error"}}')
GOOGLE = b'data: {"candidates": [{"content": {"parts": [{"text": "hello"}]}}]}\n\n'
GOOGLE_END = b'data: {"candidates": [{"content": {"parts": []}, "finishReason": "STOP"}]}\n\n'
GOOGLE_BLOCKED = b'data: {"promptFeedback": {"blockReason": "SAFETY"}}\n\n'
GOOGLE_ERROR = b'data: {"error": {"code": 429, "status": "RESOURCE_EXHAUSTED", "message": "slow down"}}\n\n'
HTML = b"<html>429 Too Many Requests</html>\n\n"
OVERLOADED = frame("error", '{"type": "error", "error": {"type": "overloaded_error", "message": "busy"}}')


def event(kind: str, number: int = 1, **more: Any) -> SimpleNamespace:
    return SimpleNamespace(type=kind, sequence_number=number, **more)


CHUNKS: dict[Protocol, list[Any]] = {
    Protocol.CHAT: [SimpleNamespace(choices=[]), None, "text"],
    Protocol.MESSAGES: [
        *(WORDS, OF_ERRORS, OVERLOADED, b": ping\n\n", b"", b"event: message_stop\ndata: {}\n\n", bytearray(WORDS)),
        *(frame("message_delta", '{"type": "message_delta"}'), WORDS.decode(), OVERLOADED.decode()),
        *({"type": "message_stop"}, {"type": "error", "error": {"type": "api_error"}}, {"type": "ping"}, 7, None),
    ],
    Protocol.GENAI: [
        *(GOOGLE, GOOGLE_END, GOOGLE_BLOCKED, GOOGLE_ERROR, GOOGLE.replace(b"\n", b"\r\n"), GOOGLE[:-2]),
        *(HTML, b"data: [\n\n", b"", GOOGLE.decode(), {"candidates": []}, None),
    ],
    Protocol.RESPONSES: [
        *(event("response.output_text.delta"), event("response.created"), event("response.completed"), event("error")),
        *({"type": "response.output_text.delta"}, {"type": "response.failed"}, event(""), SimpleNamespace(), None),
    ],
}
CASES = [(protocol, chunk) for protocol, chunks in CHUNKS.items() for chunk in chunks]
MANY = {Protocol.CHAT: CHUNKS[Protocol.CHAT][0], Protocol.MESSAGES: WORDS, Protocol.GENAI: GOOGLE}
MANY[Protocol.RESPONSES] = CHUNKS[Protocol.RESPONSES][0]


def begun(protocol: Protocol) -> Reading:
    reading = reading_of(protocol)
    reading.read(MANY[protocol])
    reading.content = True
    return reading


def state(reading: Reading) -> tuple[bool | None, ...]:
    return (reading.content, reading.whole, reading.understood, reading.cut)


@pytest.mark.parametrize(("protocol", "chunk"), CASES)
def test_what_is_passed_over_reports_nothing_and_changes_nothing(protocol: Protocol, chunk: Any) -> None:
    reading = begun(protocol)
    if reading.is_ordinary(chunk):
        before = state(reading)
        assert reading.read(chunk) is None
        assert state(reading) == before


@pytest.mark.parametrize("protocol", [protocol for protocol in MANY if reading_of(protocol).reads_on])
def test_the_chunks_that_come_by_the_thousand_are_passed_over(protocol: Protocol) -> None:
    assert begun(protocol).is_ordinary(MANY[protocol])


def test_the_last_number_of_a_responses_stream_is_known_although_its_event_was_passed_over() -> None:
    reading = begun(Protocol.RESPONSES)
    assert reading.is_ordinary(event("response.output_text.delta", 41))
    assert reading.said().sequence_number == 41
    reading.read(event("response.output_text.done", 42))
    assert reading.said().sequence_number == 42
