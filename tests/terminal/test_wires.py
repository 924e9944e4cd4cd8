"""The reader at the wire on the streams that are read: the openai SDK's and LiteLLM's own."""

from __future__ import annotations

import gc
import json
import weakref
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from litellm.llms.base_llm.base_model_iterator import BaseModelResponseIterator
from litellm.llms.cohere.common_utils import CohereV2ModelResponseIterator
from litellm.llms.databricks.streaming_utils import ModelResponseIterator
from litellm.llms.gigachat.chat.streaming import GigaChatModelResponseIterator
from litellm.llms.openai.chat.gpt_transformation import OpenAIChatCompletionStreamingHandler
from openai import AsyncOpenAI, AsyncStream

from litellm_cancel_guard.host import deployments, reasons
from litellm_cancel_guard.host.grafting import NotFoundError
from litellm_cancel_guard.host.mends import wires
from litellm_cancel_guard.host.mends.source import watched
from litellm_cancel_guard.settings import Settings
from litellm_cancel_guard.terminal.failure import ProviderStreamError, failure_of
from tests.failures.kinds import BEGUN, DONE, REST, ended, frame, said
from tests.failures.others import COHERE
from tests.terminal.loose import touch

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from litellm_cancel_guard.host.grafting import Touch
    from tests.failures.kinds import Kind


class Wrapper:
    """What the guard asks of LiteLLM's wrapper."""

    custom_llm_provider = "hosted_vllm"
    model = "m"


class Response:
    http_version = "HTTP/2"
    request = None

    def __init__(self, *reads: bytes) -> None:
        self._reads = reads

    async def aiter_bytes(self) -> AsyncIterator[bytes]:
        for read in self._reads:
            yield read

    async def aclose(self) -> None:
        """Holds nothing."""


def of_the_sdk(*reads: bytes) -> Any:
    client: Any = AsyncOpenAI(api_key="provider-key")
    stream: Any = AsyncStream(cast_to=dict, response=Response(*reads), client=client)  # type: ignore[arg-type]
    stream._client = SimpleNamespace(_process_response_data=lambda data, **_: data)
    return stream


async def lines_of(*reads: bytes) -> AsyncIterator[str]:
    for line in b"".join(reads).decode().split("\n"):
        yield line


def of_litellms(*reads: bytes) -> Any:
    return OpenAIChatCompletionStreamingHandler(streaming_response=lines_of(*reads), sync_stream=False)


def of_watsonx(*reads: bytes) -> Any:
    return ModelResponseIterator(streaming_response=lines_of(*reads), sync_stream=False)


def of_gigachat(*reads: bytes) -> Any:
    return GigaChatModelResponseIterator(streaming_response=lines_of(*reads), sync_stream=False)


pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:pydantic")
STREAMS = [of_the_sdk, of_litellms, of_watsonx, of_gigachat]


@pytest.fixture
def put_in() -> Iterator[Touch]:
    put_in = touch()
    assert wires.mend(Settings(), put_in)
    yield put_in
    put_in.take_out()


async def read(stream: Any, **how: bool) -> int:
    holder = Wrapper()
    return len([chunk async for chunk in watched(stream, holder, **{"tell_truncation": True, **how})])


@pytest.mark.parametrize("stream", STREAMS)
async def test_a_failure_that_only_the_reason_tells_is_one(put_in: Touch, stream: Any) -> None:
    with pytest.raises(ProviderStreamError) as raised:
        await read(stream(BEGUN, ended("network_error"), DONE))
    assert "network_error" in failure_of(raised.value).message


@pytest.mark.parametrize("stream", [of_litellms, of_watsonx, of_gigachat])
async def test_an_error_that_is_a_line_of_its_own_is_raised_in_its_place(put_in: Touch, stream: Any) -> None:
    """LiteLLM makes a chunk of it that has no choices; its own `/v1/messages` raises at that (1.83)."""
    told = frame({"error": {"message": "queue full", "code": 503}})
    chunks: list[Any] = []

    async def take() -> None:
        holder = Wrapper()
        async for chunk in watched(stream(BEGUN, told, said(REST), ended(), DONE), holder, tell_truncation=True):
            chunks.append(chunk)  # noqa: PERF401 - those before the error are looked at

    with pytest.raises(Exception, match="queue full"):
        await take()
    assert not any(REST in str(chunk) for chunk in chunks)


@pytest.mark.parametrize("stream", STREAMS)
async def test_a_whole_stream_is_read_to_its_end(put_in: Touch, stream: Any) -> None:
    assert await read(stream(BEGUN, said(REST), ended(), DONE)) >= 4


@pytest.mark.parametrize("stream", STREAMS)
async def test_a_stream_that_ends_without_its_end_is_cut(put_in: Touch, stream: Any) -> None:
    for reads in ((BEGUN,), (BEGUN, DONE)):
        with pytest.raises(ProviderStreamError, match="before it was complete"):
            await read(stream(*reads))


@pytest.mark.parametrize("stream", STREAMS)
async def test_a_stream_is_no_longer_tapped_when_the_graft_is_out(put_in: Touch, stream: Any) -> None:
    put_in.take_out()
    assert wires.tapped(stream(BEGUN), Wrapper()) is None


@pytest.mark.parametrize(
    "kind", [kind for kind in COHERE if not (kind.breaks or kind.pieces)], ids=lambda kind: kind.name
)
async def test_of_coheres_own_events_the_end_is_read_which_litellm_does_not_see(put_in: Touch, kind: Kind) -> None:
    async def lines() -> AsyncIterator[str]:
        for line in kind.body.decode().splitlines():
            yield line

    stream: Any = CohereV2ModelResponseIterator(streaming_response=lines(), sync_stream=False)
    if kind.whole:
        assert await read(stream) >= 4
        return
    # A line that is cut is no JSON to LiteLLM either, which raises.
    with pytest.raises((ProviderStreamError, RuntimeError)):
        await read(stream)


@pytest.mark.parametrize("spaced", [":", ": ", " : "])
@pytest.mark.parametrize(
    ("last", "failed"), [({}, None), ({"delta": {"usage": {}}}, None), ({"delta": {"error": "it broke"}}, "it broke")]
)
async def test_coheres_last_event_is_an_end_whatever_it_leaves_out(
    put_in: Touch, spaced: str, last: dict[str, Any], failed: str | None
) -> None:
    """All of it is optional (docs.cohere.com: `ChatMessageEndEventDelta`)."""
    says = {"type": "content-delta", "delta": {"message": {"content": {"text": "a word"}}}}

    async def lines() -> AsyncIterator[str]:
        for event in ({"type": "message-start", "id": "c"}, says, {"type": "message-end", **last}):
            yield json.dumps(event, separators=(",", spaced))

    stream: Any = CohereV2ModelResponseIterator(streaming_response=lines(), sync_stream=False)
    if failed is None:
        assert await read(stream) == 3
        return
    with pytest.raises(ProviderStreamError, match=failed):
        await read(stream)


@pytest.mark.parametrize("stream", [of_litellms, of_watsonx, of_gigachat])
async def test_a_tapped_stream_is_freed_as_soon_as_nobody_reads_it(put_in: Touch, stream: Any) -> None:
    """A cycle would keep the provider's connection until it is collected; the openai SDK's stream is one by itself."""
    tapped = stream(BEGUN, ended(), DONE)
    known = weakref.ref(tapped)
    gc.disable()
    try:
        source = watched(tapped, Wrapper(), tell_truncation=True)
        del tapped, source
        assert known() is None
    finally:
        gc.enable()


def test_a_fault_in_the_reader_leaves_the_stream_to_litellm(put_in: Touch, monkeypatch: pytest.MonkeyPatch) -> None:
    stream = of_litellms()
    wire = wires.tapped(stream, Wrapper())
    assert wire is not None
    monkeypatch.setattr(type(wire), "line", lambda *_: 1 / 0)
    assert stream._handle_string_chunk(str_line=said(REST).decode().strip()) is not None
    assert wire.verdict(tell_truncation=True) is None


async def test_what_reads_something_else_than_lines_is_left_to_litellm(
    put_in: Touch, caplog: pytest.LogCaptureFixture
) -> None:
    class Newer(ModelResponseIterator):  # type: ignore[misc]
        async def __anext__(self) -> Any:
            return await self.async_response_iterator.__anext__()

    async def objects() -> AsyncIterator[Any]:
        for _ in range(3):
            yield {"choices": [{"index": 0, "delta": {"content": "x"}, "finish_reason": None}]}

    Newer.__module__ = ModelResponseIterator.__module__
    assert await read(Newer(streaming_response=objects(), sync_stream=False)) == 3
    assert caplog.records == []


def test_it_stands_aside_where_the_sdk_reads_in_another_way(monkeypatch: pytest.MonkeyPatch) -> None:
    async def events(_: Any) -> AsyncIterator[Any]:
        for event in list[Any]():
            yield event

    monkeypatch.setattr(AsyncStream, "_iter_events", events)
    with pytest.raises(NotFoundError, match="decoder"):
        wires.mend(Settings(), touch())


def test_it_does_not_tap_what_takes_more_than_a_line(put_in: Touch) -> None:
    class Newer(BaseModelResponseIterator):  # type: ignore[misc]
        def _handle_string_chunk(self, str_line: str, of: int) -> Any:
            return str_line, of

    assert wires.tapped(Newer(streaming_response=None, sync_stream=False), Wrapper()) is None


@pytest.mark.parametrize(
    ("data", "passes"),
    [
        ({"model_info": {"cancel_guard": {"on_truncation": "pass"}}}, True),
        ({"metadata": {"model_info": {"cancel_guard": {"on_truncation": "pass"}}}}, True),
        ({"litellm_metadata": {"model_info": {"cancel_guard": {"on_truncation": "pass"}}}}, True),
        ({"model_info": {"cancel_guard": {"on_truncation": "error"}}}, False),
        ({"model_info": {"cancel_guard": "pass"}}, False),
        ({"metadata": None, "model_info": None}, False),
        (None, False),
    ],
)
def test_a_deployment_says_for_itself_whether_a_cut_passes(data: Any, passes: bool) -> None:
    assert deployments.request_passes_truncation(data) is passes


class ByAnotherDoor(ModelResponseIterator):  # type: ignore[misc,unused-ignore]
    """A LiteLLM to come, which keeps its lines where it did and takes their iterator at once."""

    __module__ = ModelResponseIterator.__module__

    def __init__(self, *reads: bytes) -> None:
        super().__init__(streaming_response=lines_of(*reads), sync_stream=False)
        self._lines = self.streaming_response.__aiter__()

    def __aiter__(self) -> Any:
        self.async_response_iterator = self._lines
        return self


async def test_what_is_read_by_another_door_than_the_one_that_is_tapped_is_not_called_cut(put_in: Touch) -> None:
    assert await read(ByAnotherDoor(BEGUN, said(REST), ended(), DONE)) > 0


async def test_an_error_behind_the_end_of_an_answer_does_not_end_it_where_litellm_looks_no_further(
    put_in: Touch,
) -> None:
    behind = b'data: {"error": {"message": "not billed"}}\n\n'
    holder = Wrapper()
    reading = watched(of_watsonx(BEGUN, said(REST), ended(), behind), holder, tell_truncation=True)
    while not reasons.ends(await anext(reading)):
        pass
    # LiteLLM up to 1.106 pulls once more, and stops there.
    await anext(reading)
