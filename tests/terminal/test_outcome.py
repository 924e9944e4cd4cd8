"""One stream and its outcome: handed on, cut, or failed."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from litellm_cancel_guard.lease.lease import Ending
from litellm_cancel_guard.terminal.events import Protocol
from litellm_cancel_guard.terminal.failure import Failure, ProviderStreamError, failure_in
from tests.harness.provider.responses import Responses
from tests.harness.provider.wire import Anthropic
from tests.terminal.scripted import PROTOCOLS, LimitedError, Provider, Reader, begun, chunks_of, opening, whole
from tests.terminal.sse import parse


@PROTOCOLS
async def test_a_healthy_stream_passes_as_the_objects_it_is(protocol: Protocol) -> None:
    chunks, reader = whole(protocol), Reader(protocol)
    out = await reader.read(Provider(*chunks))
    assert len(out) == len(chunks)
    assert all(one is other for one, other in zip(out, chunks, strict=True))
    assert (reader.log[-1], reader.told) == (Ending.COMPLETED, [])


@PROTOCOLS
async def test_nothing_but_the_error_goes_out_before_the_first_content(protocol: Protocol) -> None:
    reader = Reader(protocol)
    (frame,) = await reader.read(Provider(*opening(protocol), 0.01, LimitedError()))
    error = parse(frame)[0].data["error"]
    google = protocol is Protocol.GENAI
    assert error["code"] == (429 if google else "429")
    assert error["status" if google else "type"] == ("RESOURCE_EXHAUSTED" if google else "rate_limit_error")
    assert frame.startswith('data: {"error"')
    assert len(reader.told) == 1


async def test_a_response_that_is_refused_behind_its_opening_has_not_begun() -> None:
    """OpenAI answers 200, says `response.created`, and only then that the prompt is too long."""
    wire, reader = Responses("model"), Reader(Protocol.RESPONSES)
    chunks = chunks_of(Protocol.RESPONSES, wire.opening() + wire.failed("context_length_exceeded"))
    (frame,) = await reader.read(Provider(*chunks))
    assert frame.startswith('data: {"error":')
    assert parse(frame)[0].data["error"]["code"] == "400"


@PROTOCOLS
async def test_the_slot_is_back_before_the_last_event_of_a_failed_stream(protocol: Protocol) -> None:
    reader = Reader(protocol)
    out = await reader.read(Provider(*begun(protocol), LimitedError()))
    assert reader.log[-2:] == [Ending.PROVIDER_FAILED, out[-1]]
    assert reader.log.count(Ending.PROVIDER_FAILED) == 1
    assert out[:-1] == begun(protocol)
    assert "rate_limit_error" in out[-1] or "RESOURCE_EXHAUSTED" in out[-1]


@pytest.mark.parametrize("protocol", [Protocol.MESSAGES, Protocol.RESPONSES, Protocol.GENAI], ids=lambda p: p.value)
async def test_a_stream_that_is_cut_fails(protocol: Protocol) -> None:
    provider = Provider(*begun(protocol))
    reader = Reader(protocol)
    out = await reader.read(provider)
    assert (len(out) - len(begun(protocol)), provider.closed) == (1, 1)
    assert "before it was complete" in out[-1]

    passing = Reader(protocol, on_truncation="pass")
    assert len(await passing.read(Provider(*begun(protocol)))) == len(begun(protocol))
    assert passing.log[-1] == Ending.COMPLETED


async def test_half_a_frame_never_stands_before_the_error() -> None:
    reader = Reader(Protocol.MESSAGES)
    out = await reader.read(Provider(*begun(Protocol.MESSAGES), b'event: content_block_delta\ndata: {"type": "cont'))
    text = b"".join(piece if isinstance(piece, bytes) else piece.encode() for piece in out).decode()
    assert [event.name for event in parse(text)][-2:] == ["content_block_delta", "error"]


async def test_words_in_the_same_read_as_the_error_are_not_lost() -> None:
    wire = Anthropic("model")
    reader = Reader(Protocol.MESSAGES)
    out = await reader.read(Provider(wire.opening() + wire.chunk(0) + wire.chunk(1) + wire.error_event(529)))
    assert b"word1" in out[0]
    assert b"event: error" not in out[0]
    assert parse(out[1])[0].data["error"]["type"] == "overloaded_error"


@given(st.lists(st.integers(1, 60), max_size=60))
async def test_bytes_come_out_as_they_went_in_wherever_the_network_cut_them(cuts: list[int]) -> None:
    wire = Anthropic("model")
    data = wire.opening() + wire.chunk(0) + wire.chunk(1) + wire.closing(2)
    pieces, at = [], 0
    for cut in [*cuts, len(data)]:
        pieces.append(data[at : at + cut])
        at += cut
    out = await Reader(Protocol.MESSAGES).read(Provider(*(piece for piece in pieces if piece)))
    assert b"".join(out) == data


async def test_a_response_that_is_no_stream_fails_as_one() -> None:
    (frame,) = await Reader(Protocol.CHAT).read(object())
    assert parse(frame)[0].data["error"]["code"] == "500"


@PROTOCOLS
async def test_bytes_that_are_no_text_and_chunks_of_other_kinds_pass(protocol: Protocol) -> None:
    odd: list[Any] = [b"data: \xff\xfe}\n\n", {"type": "x"}, None, 3, object()]
    reader = Reader(protocol)
    assert await reader.read(Provider(*odd)) == odd


async def test_what_a_guardrail_says_before_the_stream_has_begun_is_for_litellm_to_answer() -> None:
    class HTTPException(Exception):  # noqa: N818 - fastapi's name
        status_code = 400

    reader = Reader(Protocol.CHAT)
    with pytest.raises(HTTPException):
        await reader.read(Provider(*opening(Protocol.CHAT), HTTPException("blocked")))
    assert reader.log == [Ending.PROVIDER_FAILED]


async def test_where_litellm_answers_in_anthropics_protocol_it_is_left_to_it() -> None:
    reader = Reader(Protocol.MESSAGES)
    reader.outcome.answered_in_anthropics_protocol = lambda: True
    with pytest.raises(ProviderStreamError) as raised:
        await reader.read(Provider(*opening(Protocol.MESSAGES), LimitedError()))
    assert raised.value.status_code == 429


async def test_a_delay_that_stood_in_a_header_is_told_where_only_words_arrive() -> None:
    reader = Reader(Protocol.CHAT)
    reader.sighting.delay = 7.0
    out = await reader.read(Provider(*begun(Protocol.CHAT), LimitedError()))
    assert "Please try again in 7s." in out[-1]
    assert reader.sighting.retry_after == 7.0


@pytest.mark.parametrize(
    ("protocol", "failure", "seconds"),
    [
        pytest.param(Protocol.RESPONSES, Failure(429, "slow down"), 6.0, id="not said for how long"),
        pytest.param(Protocol.RESPONSES, Failure(429, "slow down", 2.5), 2.5, id="said"),
        pytest.param(Protocol.RESPONSES, Failure(429, "no", 2.5, "insufficient_quota"), None, id="beyond waiting"),
        pytest.param(Protocol.RESPONSES, Failure(503, "busy"), None, id="another status"),
        pytest.param(Protocol.CHAT, Failure(429, "slow down"), None, id="chat"),
        pytest.param(Protocol.CHAT, Failure(429, "no", 2.5, "insufficient_quota"), 2.5, id="chat, said"),
    ],
)
async def test_the_header_of_an_answer_names_a_delay_that_its_clients_obey(
    protocol: Protocol, failure: Failure, seconds: float | None
) -> None:
    reader = Reader(protocol)
    await reader.read(Provider(*opening(protocol), ProviderStreamError(failure)))
    assert reader.sighting.retry_after == seconds


@pytest.mark.parametrize(
    "error",
    [{"code": "insufficient_quota"}, {"type": "insufficient_quota", "code": "429"}, {"code": "1113"}, {"code": 1113}],
)
def test_what_no_waiting_cures_may_stand_in_the_type_alone(error: dict[str, str]) -> None:
    found = failure_in({"type": "error", "error": {"message": "no", **error}})
    assert found == Failure(429, "no", None, "insufficient_quota")


async def test_behind_its_first_content_a_chat_stream_is_read_without_a_layer_of_its_own() -> None:
    reader, passed = Reader(Protocol.CHAT), begun(Protocol.CHAT, chunks=4)
    assert await reader.read(Provider(*passed)) == passed
    assert reader.outcome.rest is not None
    watched = Reader(Protocol.CHAT, idle_timeout=5.0)
    assert await watched.read(Provider(*passed)) == passed
    assert watched.outcome.rest is None


@PROTOCOLS
async def test_an_iterator_that_begins_anew_wherever_it_is_asked_for_goes_out_once(protocol: Protocol) -> None:
    chunks = whole(protocol)

    class Anew:
        def __aiter__(self) -> Any:
            self._left = Provider(*chunks).__aiter__()
            return self

        async def __anext__(self) -> Any:
            return await self._left.__anext__()

    reader = Reader(protocol)
    assert await reader.read(Anew()) == chunks
    assert (reader.log[-1], reader.told) == (Ending.COMPLETED, [])


async def test_what_can_only_be_read_on_is_read_to_its_end() -> None:
    """A callback's stream whose iterator has a `__anext__` alone: LiteLLM reads it, and so does the guard."""
    chunks = whole(Protocol.CHAT)

    class Left:
        def __init__(self) -> None:
            self._provider = Provider(*chunks).__aiter__()

        async def __anext__(self) -> Any:
            return await self._provider.__anext__()

    class Stream:
        def __aiter__(self) -> Any:
            return Left()

    reader = Reader(Protocol.CHAT)
    assert await reader.read(Stream()) == chunks
    assert (reader.log[-1], reader.told) == (Ending.COMPLETED, [])
