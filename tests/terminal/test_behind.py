"""Behind a whole answer nobody waits for ever; and what only looks like an end is none."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from litellm.llms.openai.chat.gpt_transformation import OpenAIChatCompletionStreamingHandler

from litellm_cancel_guard.host.mends import behind, wires
from litellm_cancel_guard.host.mends.source import watched
from litellm_cancel_guard.settings import Settings
from litellm_cancel_guard.terminal.over import over_at
from tests.failures.kinds import ANTHROPIC, BEGUN, REST, ended, frame, said
from tests.terminal.loose import touch

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:pydantic")
WHOLE = {kind.name: kind.body for kind in ANTHROPIC}["whole"]
COMPLETED = frame({"type": "response.completed", "response": {"id": "r"}}, "response.completed")
GOOGLE = frame({"candidates": [{"content": {"parts": [{"text": REST}]}, "finishReason": "STOP"}]})
SPOKEN = frame({"type": "content_block_delta", "delta": {"text": 'event: message_stop\n"finishReason": "STOP"'}})
PING = b'event: ping\ndata: {"type": "ping"}\n\n'


class Connection(httpx.AsyncByteStream):
    """Brings *reads*, and then nothing for ever, unless it is to *pulse*."""

    def __init__(self, *reads: bytes, pulse: bytes = b"", breaks: bool = False) -> None:
        self._reads, self._pulse, self._breaks = reads, pulse, breaks
        self.closed = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for read in self._reads:
            yield read
        if self._breaks:
            raise httpx.ReadError("broken")
        while self._pulse:
            await asyncio.sleep(0.01)
            yield self._pulse
        await asyncio.Event().wait()

    async def aclose(self) -> None:
        self.closed = True


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(behind, "WAIT_SECONDS", 0.1)


def response(connection: Connection, path: str, body: bytes = b"{}") -> httpx.Response:
    request = httpx.Request("POST", f"http://provider{path}", content=body)
    made = httpx.Response(200, request=request, stream=connection)
    behind._have_it_end(made)
    return made


async def read(made: httpx.Response, within: float = 1) -> bytes:
    return await asyncio.wait_for(made.aread(), within)


ENDS = pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/messages", WHOLE),
        ("/v1/responses", COMPLETED),
        ("/v1beta/models/m:streamGenerateContent", GOOGLE),
    ],
)


@ENDS
@pytest.mark.parametrize("size", [1, 7, 100_000])
async def test_a_connection_that_stays_open_behind_the_end_is_closed_as_if_it_had_ended(
    path: str, body: bytes, size: int
) -> None:
    connection = Connection(*(body[at : at + size] for at in range(0, len(body), size)))
    assert await read(response(connection, path)) == body
    assert connection.closed


@ENDS
async def test_one_that_breaks_behind_the_end_has_brought_all(path: str, body: bytes) -> None:
    assert await read(response(Connection(body, breaks=True), path)) == body


async def test_pings_behind_the_end_are_no_reason_to_wait_on() -> None:
    got = await read(response(Connection(WHOLE, pulse=PING), "/v1/messages"))
    assert got.startswith(WHOLE)


@pytest.mark.parametrize("path", ["/v1/messages", "/v1beta/models/m:streamGenerateContent"])
async def test_a_text_that_speaks_of_an_end_is_none(path: str) -> None:
    with pytest.raises(TimeoutError):
        await read(response(Connection(SPOKEN), path), 0.4)


async def test_an_end_that_is_cut_in_the_middle_of_its_frame_is_none_yet() -> None:
    with pytest.raises(TimeoutError):
        await read(response(Connection(COMPLETED[:60]), "/v1/responses"), 0.4)


async def test_what_goes_on_behind_an_end_has_not_ended() -> None:
    more = frame({"candidates": [{"content": {"parts": [{"text": REST}]}}]})
    whole = GOOGLE + more
    for cut in (len(GOOGLE), len(GOOGLE) - 4):
        connection = Connection(whole[:cut], whole[cut:])
        with pytest.raises(TimeoutError):
            await read(response(connection, "/v1beta/models/m:streamGenerateContent"), 0.4)


async def test_who_says_an_end_with_each_chunk_has_none_that_is_waited_for() -> None:
    """With usage in each, two seconds behind its first chunk half an answer had passed for a whole one."""
    each = GOOGLE.replace(b'"STOP"}]', b'"STOP"}], "usageMetadata": {"totalTokenCount": 3}')
    assert b"usageMetadata" in each
    for reads in ([each] * 3, [each[:40], each[40:] + each]):
        with pytest.raises(TimeoutError):
            await read(response(Connection(*reads), "/v1beta/models/m:streamGenerateContent"), 0.4)


@pytest.mark.parametrize(
    "name", ["created", "in_progress", "content_part.added", "content_part.done", "output_text.done"]
)
@pytest.mark.parametrize("named", [True, False])
async def test_an_event_of_responses_that_is_none_of_its_ends_is_waited_behind(name: str, *, named: bool) -> None:
    """`content_part.added` had been one by its first letters: an answer that then paused was cut."""
    event = frame({"type": f"response.{name}", "response": {"id": "r"}}, f"response.{name}" if named else "")
    with pytest.raises(TimeoutError):
        await read(response(Connection(event), "/v1/responses"), 0.4)


async def test_one_of_several_answers_is_not_the_end_of_all() -> None:
    body = b'{"generationConfig": {"candidateCount": 2}}'
    with pytest.raises(TimeoutError):
        await read(response(Connection(GOOGLE), "/v1beta/models/m:streamGenerateContent", body), 0.4)


async def test_a_connection_that_breaks_before_the_end_is_broken() -> None:
    with pytest.raises(httpx.ReadError):
        await read(response(Connection(WHOLE[:300], breaks=True), "/v1/messages"))


def test_of_what_else_is_asked_nothing_is_known() -> None:
    assert over_at("/v1/chat/completions") is None
    assert over_at("/v1/messages/count_tokens") is None


class Wrapper:
    """What the guard asks of LiteLLM's wrapper."""

    custom_llm_provider = "hosted_vllm"
    model = "m"


async def chat(*reads: bytes, within: float = 1) -> int:
    """Return how many chunks come of a chat stream that stays open behind *reads*."""

    async def lines() -> AsyncIterator[str]:
        for line in b"".join(reads).decode().split("\n"):
            yield line
        await asyncio.Event().wait()

    put_in, holder = touch(), Wrapper()
    wires.mend(Settings(), put_in)
    stream: Any = OpenAIChatCompletionStreamingHandler(streaming_response=lines(), sync_stream=False)
    source = watched(stream, holder, tell_truncation=True)
    try:
        return len(await asyncio.wait_for(_all(source), within))
    finally:
        put_in.take_out()


async def _all(source: Any) -> list[Any]:
    return [chunk async for chunk in source]


async def test_a_chat_stream_that_stays_open_ends_behind_its_last_reason() -> None:
    assert await chat(BEGUN, said(REST), ended()) >= 4


async def test_a_chat_stream_that_goes_on_behind_a_reason_is_waited_for() -> None:
    with pytest.raises(TimeoutError):
        await chat(BEGUN, ended(), said(REST), within=0.4)


async def test_a_chat_stream_that_says_a_reason_with_each_chunk_is_waited_for() -> None:
    each = said(REST).replace(b'"finish_reason": null', b'"finish_reason": "stop"')
    assert b'"stop"' in each
    with pytest.raises(TimeoutError):
        await chat(BEGUN, each, each, each, within=0.4)


async def test_a_chat_stream_without_a_reason_is_waited_for() -> None:
    with pytest.raises(TimeoutError):
        await chat(BEGUN, said(REST), within=0.4)
