"""Bedrock's messages: the verdict on whole and failed streams, however they are cut, and what LiteLLM reads of them."""

from __future__ import annotations

import struct
from itertools import pairwise
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from litellm.llms.custom_httpx.http_handler import AsyncHTTPHandler

from litellm_cancel_guard.host.mends import behind
from litellm_cancel_guard.settings import Settings
from litellm_cancel_guard.terminal.amazon import Messages
from litellm_cancel_guard.terminal.failure import failure_of
from tests.failures.aws import CLAUDE, COMMAND, CONVERSE, LLAMA, MISTRAL, NOVA, TITAN, chunk, message
from tests.terminal.loose import touch
from tests.terminal.test_behind import Connection, read

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from litellm_cancel_guard.terminal.failure import Failure
    from tests.failures.kinds import Kind

READ = [kind for kinds in (CONVERSE, CLAUDE, LLAMA, NOVA, TITAN, MISTRAL, COMMAND) for kind in kinds if not kind.breaks]
WHOLE = {kind.name: kind for kind in CONVERSE}["whole"].body
ASKED = "/model/us.amazon.nova-lite-v1:0/converse-stream"


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(behind, "WAIT_SECONDS", 0.1)


def judged(reads: list[bytes]) -> tuple[bytes, Failure | None]:
    """Return what may be read of a stream, and how it failed."""
    messages, said = Messages(), b""
    for data in reads:
        if messages.failure is None:
            said += messages.read(data)
    return said + messages.rest(), messages.failure or messages.verdict()


def pieces(body: bytes, cuts: list[int]) -> list[bytes]:
    ends = sorted({0, len(body), *(cut % (len(body) + 1) for cut in cuts)})
    return [body[start:end] for start, end in pairwise(ends)]


def messages_of(body: bytes) -> list[bytes]:
    at, found = 0, []
    while at < len(body):
        (length,) = struct.unpack_from("!I", body, at)
        found.append(body[at : at + length])
        at += length
    return found


def end_of(body: bytes) -> int:
    """Say behind how much of a whole answer nothing is missed any more: it has said its reason."""
    said = messages_of(body)
    return next(len(b"".join(said[:n])) for n in range(1, len(said) + 1) if judged(said[:n])[1] is None)


END = {kind.body: end_of(kind.body) for kind in READ if kind.whole}


@pytest.mark.parametrize("kind", READ, ids=lambda kind: kind.name)
def test_what_failed_has_failed_and_what_is_whole_is_whole_and_as_it_was_sent(kind: Kind) -> None:
    said, failure = judged([kind.body])
    assert (failure is None) == kind.whole
    assert said == kind.body if kind.whole else kind.body.startswith(said)


@given(kind=st.sampled_from(READ), cuts=st.lists(st.integers(0, 10**6), max_size=12))
def test_any_split_into_reads_gives_the_same_verdict_and_the_same_bytes(kind: Kind, cuts: list[int]) -> None:
    assert judged(pieces(kind.body, cuts)) == judged([kind.body])


@given(
    kind=st.sampled_from([kind for kind in READ if kind.whole]),
    at=st.integers(0, 10**6),
    cuts=st.lists(st.integers(0, 10**6), max_size=4),
)
def test_a_whole_stream_cut_anywhere_before_its_end_has_failed(kind: Kind, at: int, cuts: list[int]) -> None:
    assert judged(pieces(kind.body[: at % END[kind.body]], cuts))[1] is not None


@given(st.lists(st.binary(), max_size=20))
def test_no_bytes_make_it_raise_and_what_is_no_message_goes_on_as_it_is(reads: list[bytes]) -> None:
    assert judged(reads)[0] == b"".join(reads)


def test_a_message_of_megabytes_is_read_in_reads_of_any_size() -> None:
    image = message({"contentBlockIndex": 0, "delta": {"text": "A" * 6 * 2**20}}, event_type="contentBlockDelta")
    body = image + WHOLE
    assert judged([body[at : at + 2**16] for at in range(0, len(body), 2**16)]) == (body, None)


def test_what_says_that_it_is_longer_than_any_message_is_not_waited_for() -> None:
    prelude = struct.pack("!II", 2**31, 0)
    said = prelude + b"\0" * 40
    messages = Messages()
    assert messages.read(said) == said
    assert messages.read(WHOLE) == WHOLE
    assert messages.verdict() is None


@pytest.mark.parametrize(
    "said",
    [
        {"outputText": "half an", "index": 0, "completionReason": None},
        {"outputs": [{"text": "half an", "stop_reason": None}]},
        {"contentBlockDelta": {"delta": {"text": "half an"}, "contentBlockIndex": 0}},
        {"choices": [{"index": 0, "message": {"content": "half an"}, "stop_reason": None}]},
        {"text": "half an", "is_finished": False},
    ],
)
def test_every_familys_stream_that_ends_without_a_reason_was_cut(said: dict[str, Any]) -> None:
    assert judged([chunk(said)])[1] is not None


@pytest.mark.parametrize(
    "said",
    [
        {"outputText": " answer", "completionReason": "FINISH"},
        {"outputs": [{"text": " answer", "stop_reason": "stop"}]},
        {"messageStop": {"stopReason": "end_turn"}},
        {"choices": [{"index": 0, "message": {"content": " answer"}, "stop_reason": "stop"}]},
        {"is_finished": True, "finish_reason": "COMPLETE"},
    ],
)
def test_every_familys_reason_is_an_end(said: dict[str, Any]) -> None:
    assert judged([chunk({"generation": "half an"}), chunk(said)])[1] is None


_COUNTED = {"amazon-bedrock-invocationMetrics": {"inputTokenCount": 3}}
_OPENAI = {"id": "c", "object": "chat.completion.chunk", "model": "m"}


@pytest.mark.parametrize(
    ("said", "behind_it"),
    [
        # docs.aws.amazon.com, Nova: "Streaming responses"
        ({"messageStop": {"stopReason": "end_turn"}}, {"metadata": {"usage": {"inputTokens": 3}, "metrics": {}}}),
        ({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}, {**_OPENAI, "choices": [], "usage": {}}),
        (
            {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]},
            {**_OPENAI, "choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}}], "usage": {}},
        ),
        ({"type": "message_delta", "delta": {"stop_reason": "end_turn"}}, {"type": "message_stop"}),
        ({"type": "message_delta", "delta": {"stop_reason": "end_turn"}}, {"amazon-bedrock-trace": {"guardrail": {}}}),
        ({"generation": "", "stop_reason": "stop"}, {"generation": "", "stop_reason": None}),
    ],
)
@pytest.mark.parametrize("counted", [{}, _COUNTED])
def test_what_brings_no_words_behind_an_end_does_not_take_it_back(
    said: dict[str, Any], behind_it: dict[str, Any], counted: dict[str, Any]
) -> None:
    assert judged([chunk({"contentBlockDelta": {"delta": {"text": "all"}}}) + chunk(said)])[1] is None
    whole = chunk({"generation": "all"}) + chunk(said) + chunk({**behind_it, **counted})
    assert judged([whole]) == (whole, None)


@pytest.mark.parametrize(
    "more",
    [
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "more"}},
        {"contentBlockDelta": {"delta": {"text": "more"}}},
        {"generation": "more", "stop_reason": None},
        {"outputs": [{"text": "more", "stop_reason": None}]},
        {"choices": [{"index": 0, "delta": {"tool_calls": [{"index": 0}]}, "finish_reason": None}]},
    ],
)
def test_words_of_any_family_behind_an_end_take_it_back(more: dict[str, Any]) -> None:
    assert judged([chunk({"generation": "all", "stop_reason": "stop"}), chunk(more)])[1] is not None


@pytest.mark.parametrize("last", [_COUNTED, {"type": "message_stop"}])
def test_bedrocks_own_end_is_one_whatever_reason_is_missing(last: dict[str, Any]) -> None:
    assert judged([chunk({"type": "message_start", "message": {}}), chunk(last)])[1] is None


def test_an_event_that_nobody_documents_is_no_part_of_an_answer() -> None:
    news = message({"news": 1}, event_type="somethingNew", message_type="event")
    assert judged([WHOLE + news]) == (WHOLE + news, None)
    assert judged([news]) == (news, None)
    assert judged([news + WHOLE[: END[WHOLE] - 1]])[1] is not None


@pytest.mark.parametrize("headers", [{}, {"message_type": "event"}, {"content_type": "application/json"}])
def test_a_message_without_a_name_is_no_failure(headers: dict[str, str]) -> None:
    unnamed = message({"contentBlockIndex": 0, "delta": {"text": "an answer"}}, **headers)
    assert judged([unnamed, WHOLE]) == (unnamed + WHOLE, None)


@pytest.mark.parametrize("headers", [{"message_type": "exception"}, {"event_type": "throttlingException"}])
def test_an_exception_is_one_by_whatever_header_says_so(headers: dict[str, str]) -> None:
    failure = judged([message({"message": "Slow down."}, **headers)])[1]
    assert failure is not None
    assert failure.message == "Slow down."


def test_of_a_message_that_is_cut_behind_the_answer_litellm_reads_nothing() -> None:
    """Half a message fails a whole answer there (1.105 - 1.110, `_EventStreamTally`)."""
    assert judged([WHOLE[:-20]]) == (b"".join(messages_of(WHOLE)[:-1]), None)


def test_of_a_model_whose_stream_is_written_in_another_way_no_end_is_missed() -> None:
    assert judged([chunk({"completion_of_my_own": "half an"})])[1] is None


def test_words_behind_an_end_take_it_back() -> None:
    messages = Messages()
    messages.read(WHOLE)
    assert messages.over
    messages.read(message({"contentBlockIndex": 0, "delta": {"text": "more"}}, event_type="contentBlockDelta"))
    assert not messages.over


class Closed(Connection):
    """One that ends."""

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for data in self._reads:
            yield data


def response(connection: Connection, path: str = ASKED, **how: bool) -> httpx.Response:
    made = httpx.Response(200, request=httpx.Request("POST", f"http://aws{path}"), stream=connection)
    behind._have_it_end(made, **how)
    return made


@pytest.mark.parametrize("size", [1, 7, 100_000])
async def test_a_connection_that_stays_open_behind_the_end_is_closed_as_if_it_had_ended(size: int) -> None:
    connection = Connection(*(WHOLE[at : at + size] for at in range(0, len(WHOLE), size)))
    assert await read(response(connection)) == WHOLE
    assert connection.closed


async def test_one_that_breaks_behind_the_end_has_brought_all_and_one_that_breaks_before_it_is_broken() -> None:
    assert await read(response(Connection(WHOLE, breaks=True))) == WHOLE
    with pytest.raises(httpx.ReadError):
        await read(response(Connection(WHOLE[:300], breaks=True)))


async def test_a_failure_is_raised_as_bedrocks_own_with_the_status_that_its_name_means() -> None:
    told = {kind.name: kind.body for kind in CONVERSE}["serviceUnavailableException"]
    with pytest.raises(Exception, match="it is serviceUnavailable") as raised:
        await read(response(Connection(told)))
    assert type(raised.value).__name__ == "BedrockError"
    assert failure_of(raised.value).status == 503


def test_a_stream_that_ends_before_any_message_has_not_answered() -> None:
    """LiteLLM's aiohttp layer ends in silence where the connection is reset (1.83), whatever of it was lost."""
    assert judged([])[1] is not None
    assert judged([WHOLE[:20]])[1] is not None


async def test_a_cut_is_none_where_its_deployment_may_end_so_and_all_of_it_is_read() -> None:
    half = WHOLE[:300]
    assert await read(response(Closed(half), tell_truncation=False)) == half
    with pytest.raises(Exception, match="ended before it was complete"):
        await read(response(Closed(half)))


@pytest.mark.parametrize("size", [50, 100_000])
async def test_a_fault_in_the_reader_leaves_the_stream_to_litellm(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Messages, "_end", lambda *_: 1 / 0)
    reads = [WHOLE[at : at + size] for at in range(0, len(WHOLE), size)]
    assert await read(response(Closed(*reads))) == WHOLE


@pytest.mark.parametrize("payload", [{}, {"bytes": 5}, {"bytes": ""}, {"p": "abc"}, {"bytes": "!"}])
async def test_a_chunk_that_holds_nothing_goes_on_as_it_is(payload: dict[str, Any]) -> None:
    odd = message(payload, event_type="chunk") + WHOLE
    assert await read(response(Closed(odd))) == odd


async def test_a_model_that_is_named_by_an_arn_is_judged() -> None:
    arn = "arn%3Aaws%3Abedrock%3Aus-east-1%3A1%3Aapplication-inference-profile%2Fabc"
    with pytest.raises(Exception, match="ended before it was complete"):
        await read(response(Closed(WHOLE[:300]), f"/model/{arn}/converse-stream"))


def test_what_else_is_asked_of_bedrock_is_not_judged() -> None:
    made = response(Connection(WHOLE), "/model/m/converse")
    assert isinstance(made.stream, Connection)


@pytest.mark.parametrize("passes", [True, False])
async def test_a_deployment_that_may_end_so_is_known_where_bedrock_is_asked(passes: bool) -> None:
    """`model_info: {cancel_guard: {on_truncation: pass}}`, which LiteLLM hands on beside its client's arguments."""
    put_in, half = touch(), WHOLE[:300]
    assert behind.mend(Settings(), put_in)
    info = {"cancel_guard": {"on_truncation": "pass" if passes else "error"}}
    details = {"litellm_params": {"litellm_metadata": {"model_info": info}}}
    handler = AsyncHTTPHandler()
    handler.client = httpx.AsyncClient(
        transport=httpx.MockTransport(lambda _: httpx.Response(200, stream=Closed(half))), base_url="http://aws"
    )
    try:
        asked = SimpleNamespace(model_call_details=details)
        answer = await handler.post(f"http://aws{ASKED}", data="{}", stream=True, logging_obj=asked)
        if passes:
            assert await read(answer) == half
        else:
            with pytest.raises(Exception, match="ended before it was complete"):
                await read(answer)
    finally:
        put_in.take_out()
        await handler.client.aclose()
