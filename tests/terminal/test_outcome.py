"""One stream and its outcome: held back, handed on, cut, silent or failed. The provider is a script of steps."""

from __future__ import annotations

import asyncio
import json
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from litellm_cancel_guard import outcome as outcomes
from litellm_cancel_guard.failure import Failure
from litellm_cancel_guard.lease import Ending
from litellm_cancel_guard.outcome import Outcome
from litellm_cancel_guard.settings import Settings
from litellm_cancel_guard.sighting import Sighting
from litellm_cancel_guard.stream import guarded
from litellm_cancel_guard.terminal import Protocol
from tests.harness.provider.responses import Responses
from tests.harness.provider.wire import Anthropic, Chat, Gemini
from tests.terminal.sse import parse

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class Dict(SimpleNamespace):
    def model_dump(self, **_: Any) -> dict[str, Any]:
        return {name: getattr(value, "model_dump", lambda value=value: value)() for name, value in vars(self).items()}


def plain(value: Any) -> Any:
    """JSON as the objects that LiteLLM hands to the hook."""
    if isinstance(value, dict):
        return Dict(**{name: plain(item) for name, item in value.items()})
    return [plain(item) for item in value] if isinstance(value, list) else value


def chunks_of(protocol: Protocol, frames: bytes) -> list[Any]:
    whole = [frame + b"\n\n" for frame in frames.split(b"\n\n") if frame]
    if protocol in (Protocol.MESSAGES, Protocol.GENAI):
        return list(whole)
    data = [frame.split(b"data: ", 1)[1].strip() for frame in whole]
    return [plain(json.loads(line)) for line in data if line != b"[DONE]"]


WIRES: dict[Protocol, Any] = {
    Protocol.CHAT: Chat,
    Protocol.MESSAGES: Anthropic,
    Protocol.RESPONSES: Responses,
    Protocol.GENAI: Gemini,
}
PROTOCOLS = pytest.mark.parametrize("protocol", list(Protocol), ids=lambda protocol: protocol.value)


class Provider:
    """Steps: a chunk, a number of seconds to wait, an exception to raise, or an event to wait for."""

    def __init__(self, *steps: Any) -> None:
        self._steps = steps
        self.closed = 0

    async def _play(self) -> AsyncIterator[Any]:
        for step in self._steps:
            if isinstance(step, float):
                await asyncio.sleep(step)
            elif isinstance(step, asyncio.Event):
                await step.wait()
            elif isinstance(step, BaseException):
                raise step
            else:
                yield step

    def __aiter__(self) -> AsyncIterator[Any]:
        return self._play()

    async def aclose(self) -> None:
        self.closed += 1


class Reader:
    """The proxy's side: what came out, when the request ended, and what LiteLLM was told."""

    def __init__(self, protocol: Protocol, **settings: Any) -> None:
        self.log: list[Any] = []
        self.told: list[Exception] = []
        self.sighting = Sighting("x")
        self.outcome = Outcome(protocol, Settings(**settings), self.sighting, self._report)

    async def _report(self, error: Exception) -> None:
        self.told.append(error)

    async def _end(self, ending: Ending) -> None:
        self.log.append(ending)

    async def read(self, provider: Any) -> list[Any]:
        async for chunk in guarded(provider, self._end, None, self.outcome):
            self.log.append(chunk)
        return [entry for entry in self.log if not isinstance(entry, Ending)]


def whole(protocol: Protocol) -> list[Any]:
    wire = WIRES[protocol]("model")
    return chunks_of(protocol, wire.opening() + wire.chunk(0) + wire.chunk(1) + wire.closing(2))


def begun(protocol: Protocol, chunks: int = 1) -> list[Any]:
    wire = WIRES[protocol]("model")
    return chunks_of(protocol, wire.opening() + b"".join(wire.chunk(index) for index in range(chunks)))


def opening(protocol: Protocol) -> list[Any]:
    return chunks_of(protocol, WIRES[protocol]("model").opening())


class LimitedError(Exception):
    status_code = 429


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
    assert (error["code"], error["type"]) == ("429", "rate_limit_error")
    assert frame.startswith('data: {"error"')
    assert len(reader.told) == 1


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


async def test_opening_frames_are_held_for_a_bounded_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outcomes, "HOLD_SECONDS", 0.05)
    go_on, reader = asyncio.Event(), Reader(Protocol.MESSAGES)
    chunks = whole(Protocol.MESSAGES)
    first = len(opening(Protocol.MESSAGES))
    reading = asyncio.create_task(reader.read(Provider(*chunks[:first], go_on, *chunks[first:])))
    await asyncio.sleep(0.3)
    assert reader.log == chunks[:first]
    go_on.set()
    assert await reading == chunks


async def test_a_first_token_is_not_held_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outcomes, "HOLD_SECONDS", 60)
    never, reader = asyncio.Event(), Reader(Protocol.CHAT)
    reading = asyncio.create_task(reader.read(Provider(*begun(Protocol.CHAT), never)))
    await asyncio.sleep(0.1)
    assert reader.log == begun(Protocol.CHAT)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    assert reader.log[-1] == Ending.CLIENT_LEFT


async def test_opening_frames_are_held_in_bounded_number(monkeypatch: pytest.MonkeyPatch) -> None:
    ping = b'event: ping\ndata: {"type": "ping"}\n\n'
    never, reader = asyncio.Event(), Reader(Protocol.MESSAGES)
    reading = asyncio.create_task(reader.read(Provider(*[ping] * 100, never)))
    await asyncio.sleep(0.1)
    assert len(reader.log) == 100
    reading.cancel()
    await asyncio.wait([reading])


async def test_a_client_that_leaves_while_frames_are_held_closes_the_provider() -> None:
    never, reader = asyncio.Event(), Reader(Protocol.MESSAGES)
    provider = Provider(*opening(Protocol.MESSAGES), never)
    reading = asyncio.create_task(reader.read(provider))
    await asyncio.sleep(0.05)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    assert (reader.log, provider.closed) == ([Ending.CLIENT_LEFT], 1)
    assert len(asyncio.all_tasks()) == 1, "the pull under way is cancelled as well"


@PROTOCOLS
async def test_a_silent_stream_ends_as_a_failed_one(protocol: Protocol) -> None:
    provider = Provider(*begun(protocol), asyncio.Event())
    reader = Reader(protocol, idle_timeout=0.05)
    out = await asyncio.wait_for(reader.read(provider), 5)
    assert "silent for 0.05 seconds" in out[-1]
    assert "504" in out[-1] or "timeout_error" in out[-1]
    assert (reader.log[-2], provider.closed) == (Ending.PROVIDER_FAILED, 1)


async def test_a_stream_that_goes_on_is_not_silent() -> None:
    chunks = whole(Protocol.CHAT)
    steps = [step for chunk in chunks for step in (0.03, chunk)]
    assert await Reader(Protocol.CHAT, idle_timeout=0.5).read(Provider(*steps)) == chunks


async def test_an_idle_timeout_does_not_run_before_the_first_chunk() -> None:
    chunks = whole(Protocol.CHAT)
    assert await Reader(Protocol.CHAT, idle_timeout=0.05).read(Provider(0.2, *chunks)) == chunks


async def test_the_callers_own_cancellation_is_no_idle_timeout() -> None:
    reader = Reader(Protocol.CHAT, idle_timeout=60)
    reading = asyncio.create_task(reader.read(Provider(*begun(Protocol.CHAT), asyncio.Event())))
    await asyncio.sleep(0.05)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    assert reader.told == []


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


async def test_a_failure_that_the_bridge_made_a_whole_answer_of_is_seen_at_its_source() -> None:
    wire, reader = Anthropic("model"), Reader(Protocol.MESSAGES)

    class Bridge(Provider):
        async def _play(self) -> AsyncIterator[Any]:
            yield wire.opening() + wire.chunk(0)
            reader.sighting.failure = Failure(429, "slow down")
            yield wire.closing(1)

    out = await reader.read(Bridge())
    assert b"message_stop" not in b"".join(piece for piece in out if isinstance(piece, bytes))
    assert parse(out[-1])[0].data["error"] == {"type": "rate_limit_error", "message": "slow down"}
