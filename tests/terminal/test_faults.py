"""A fault of the guard's own never ends a stream: it goes on as LiteLLM serves it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from litellm_cancel_guard.lease.lease import Ending
from litellm_cancel_guard.terminal import frames, outcome, reading, readings, sorting
from litellm_cancel_guard.terminal.events import Protocol
from tests.terminal.scripted import PROTOCOLS, LimitedError, Provider, Reader, begun, whole

if TYPE_CHECKING:
    from collections.abc import Callable

BYTES = pytest.mark.parametrize("protocol", [Protocol.MESSAGES, Protocol.GENAI], ids=lambda protocol: protocol.value)


def breaking(original: Callable[..., Any], at_call: int) -> Callable[..., Any]:
    """The function, which has a fault from that call on."""
    calls = [0]

    def broken(*args: Any, **kwargs: Any) -> Any:
        calls[0] += 1
        if calls[0] >= at_call:
            raise RuntimeError("a fault")
        return original(*args, **kwargs)

    return broken


def bytes_of(chunks: list[Any]) -> bytes:
    return b"".join(chunk for chunk in chunks if isinstance(chunk, bytes))


@pytest.mark.parametrize("at_call", [1, 2, 3])
@PROTOCOLS
async def test_a_chunk_that_cannot_be_read(protocol: Protocol, at_call: int, monkeypatch: pytest.MonkeyPatch) -> None:
    kind = type(readings.reading_of(protocol))
    monkeypatch.setattr(kind, "read", breaking(kind.read, at_call))
    reader, chunks = Reader(protocol), whole(protocol)
    assert await reader.read(Provider(*chunks)) == chunks
    assert (reader.log[-1], reader.told) == (Ending.COMPLETED, [])


@pytest.mark.parametrize("at_call", [1, 4, 9])
@BYTES
async def test_frames_that_cannot_be_told(protocol: Protocol, at_call: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frames.Frames, "push", breaking(frames.Frames.push, at_call))
    data = bytes_of(whole(protocol))
    # Cut in the middle of frames, so that one is kept when the fault comes.
    pieces = [data[at : at + 50] for at in range(0, len(data), 50)]
    assert bytes_of(await Reader(protocol).read(Provider(*pieces))) == data


async def test_words_before_an_error_that_cannot_be_told_from_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sorting, "before_error", breaking(frames.before_error, 1))
    chunks = [*begun(Protocol.MESSAGES), b'event: error\ndata: {"type":"error","error":{"type":"api_error"}}\n\n']
    assert await Reader(Protocol.MESSAGES).read(Provider(*chunks)) == chunks


@pytest.mark.parametrize("protocol", [Protocol.MESSAGES, Protocol.RESPONSES, Protocol.GENAI], ids=lambda p: p.value)
async def test_an_end_that_cannot_be_judged(protocol: Protocol, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading.Reading, "cut", property(breaking(lambda _: False, 1)))
    reader, chunks = Reader(protocol), begun(protocol)
    assert await reader.read(Provider(*chunks)) == chunks
    assert reader.log[-1] == Ending.COMPLETED


@pytest.mark.parametrize("name", ["failure_of", "terminal_error"])
@PROTOCOLS
async def test_a_failure_without_a_last_event_is_raised_as_it_was(
    protocol: Protocol, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outcome, name, breaking(getattr(outcome, name), 1))
    reader, chunks = Reader(protocol), begun(protocol)
    with pytest.raises(LimitedError):
        await reader.read(Provider(*chunks, LimitedError()))
    assert reader.log == [*chunks, Ending.PROVIDER_FAILED]
