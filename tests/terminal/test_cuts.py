"""Any whole stream of any protocol, cut at any byte before its end, is an error; uncut, it goes out as it came."""

from __future__ import annotations

import json
import logging
import re
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from litellm_cancel_guard.host.mends.behind import _Reads
from litellm_cancel_guard.lease.lease import Ending
from litellm_cancel_guard.terminal.events import Protocol
from litellm_cancel_guard.terminal.over import over_at
from litellm_cancel_guard.terminal.wire import Wire
from tests.terminal.scripted import Provider, Reader
from tests.terminal.scripted import plain as as_object
from tests.terminal.streams import AT_THE_WIRE, CUTS, GENAI, MESSAGES, RESPONSES, Stream, pieces

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from litellm_cancel_guard.terminal.failure import Failure

# The same streams each time, and half as many as usual: few seconds, and none that is red by chance.
BOUNDED = settings(max_examples=50, derandomize=True)
AT = st.integers(0, 10**6)
WIRE = pytest.mark.parametrize("name", AT_THE_WIRE)
FRAMES = st.sampled_from([Protocol.MESSAGES, Protocol.GENAI]).flatmap(
    lambda protocol: st.tuples(st.just(protocol), MESSAGES if protocol is Protocol.MESSAGES else GENAI)
)
PATHS = {"/v1/messages": MESSAGES, "/v1/responses": RESPONSES, "/v1/models/m:streamGenerateContent": GENAI}


def verdict(reads: list[bytes]) -> Failure | None:
    wire = Wire()
    for read in reads:
        wire.read(read)
    return wire.verdict(tell_truncation=True)


def verdict_by_line(body: bytes) -> Failure | None:
    wire = Wire(by_line=True)
    for line in re.split("\r?\n", body.decode(errors="replace")):
        wire.line(line)
    return wire.verdict(tell_truncation=True)


@WIRE
@BOUNDED
@given(data=st.data(), cuts=CUTS)
def test_a_stream_that_is_read_at_the_wire_is_whole(name: str, data: st.DataObject, cuts: list[int]) -> None:
    stream = data.draw(AT_THE_WIRE[name])
    assert verdict(pieces(stream.body, cuts)) is None
    assert verdict_by_line(stream.body) is None
    assert verdict(pieces(stream.body[: stream.end], cuts)) is None


@WIRE
@BOUNDED
@given(data=st.data(), at=AT, cuts=CUTS)
def test_cut_before_its_end_it_has_failed(name: str, data: st.DataObject, at: int, cuts: list[int]) -> None:
    cut = data.draw(AT_THE_WIRE[name]).cut(at)
    assert verdict(pieces(cut, cuts)) is not None
    assert verdict(pieces(cut, cuts)) == verdict([cut])
    assert verdict_by_line(cut) is not None


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """What each failed stream is to the log would fill it."""
    logging.disable(logging.WARNING)
    yield
    logging.disable(logging.NOTSET)


async def handed_on(protocol: Protocol, chunks: list[Any]) -> tuple[list[Any], Reader]:
    reader = Reader(protocol)
    return await reader.read(Provider(*chunks)), reader


@BOUNDED
@given(of=FRAMES, cuts=CUTS)
async def test_frames_go_out_as_they_came_in_any_reads(of: tuple[Protocol, Stream], cuts: list[int]) -> None:
    protocol, stream = of
    out, reader = await handed_on(protocol, pieces(stream.body, cuts))
    assert b"".join(out) == stream.body
    assert (reader.log[-1], reader.told) == (Ending.COMPLETED, [])


@BOUNDED
@given(of=FRAMES, at=AT, cuts=CUTS)
async def test_frames_that_were_cut_end_in_one_error(of: tuple[Protocol, Stream], at: int, cuts: list[int]) -> None:
    protocol, stream = of
    cut = stream.cut(at)
    (*out, error), reader = await handed_on(protocol, pieces(cut, cuts))
    said = b"".join(out)
    assert cut.startswith(said)
    assert said == b"" or said.endswith((b"\n\n", b"\r\n\r\n"))
    assert '"error"' in error
    assert [entry for entry in reader.log if isinstance(entry, Ending)] == [Ending.PROVIDER_FAILED]
    (*_, told), _ = await handed_on(protocol, [cut] if cut else [])
    assert told == error


def objects(body: bytes) -> list[Any]:
    """As LiteLLM reads them: each line of data that is whole."""
    found = []
    for line in body.decode(errors="replace").split("\n"):
        try:
            found.append(as_object(json.loads(line.removeprefix("data: "))))
        except ValueError:
            continue
    return found


@BOUNDED
@given(stream=RESPONSES, at=AT)
async def test_events_of_responses_are_whole_with_their_last_alone(stream: Stream, at: int) -> None:
    chunks = objects(stream.body)
    out, reader = await handed_on(Protocol.RESPONSES, chunks)
    assert (out, reader.log[-1]) == (chunks, Ending.COMPLETED)
    chunks = objects(stream.cut(at))
    (*out, error), reader = await handed_on(Protocol.RESPONSES, chunks)
    assert out == chunks or not any("delta" in chunk.type for chunk in chunks)
    assert '"error"' in error
    assert Ending.PROVIDER_FAILED in reader.log


async def _each(reads: list[bytes]) -> AsyncIterator[bytes]:
    for read in reads:
        yield read


@pytest.mark.parametrize("path", PATHS)
@BOUNDED
@given(data=st.data(), at=AT, cuts=CUTS)
async def test_what_waits_for_a_connections_end_changes_no_byte(
    path: str, data: st.DataObject, at: int, cuts: list[int]
) -> None:
    stream: Stream = data.draw(PATHS[path])
    for body in (stream.body, stream.cut(at)):
        over = over_at(path)
        assert over is not None
        assert b"".join([read async for read in _Reads(_each(pieces(body, cuts)), over)]) == body
