"""The general guard at a chat stream's source, in LiteLLM's own wrapper: what would spin ends, the loop turns."""

from __future__ import annotations

import asyncio
from importlib import import_module, util
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from unittest.mock import AsyncMock, MagicMock

import pytest
from litellm import CustomStreamWrapper
from openai import AsyncStream

from litellm_cancel_guard.host.mends import source as mends_source
from litellm_cancel_guard.host.mends.source import Source, watched
from litellm_cancel_guard.terminal.failure import ProviderStreamError, failure_of
from tests.terminal.loose import touch

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

PARTNERS = "llms.vertex_ai.vertex_ai_partner_models"
# Up to 1.106 and later by another name.
LLAMA = next(name for name in ("llama", "llama3") if util.find_spec(f"litellm.{PARTNERS}.{name}"))


class Stuck:
    """As the exhausted iterator of #26015: never suspends, never ends, says nothing."""

    def __init__(self, says: Any = None, after: tuple[Any, ...] = ()) -> None:
        self.says = says
        self.after = list(after)
        self.asked = 0

    def __aiter__(self) -> Stuck:
        return self

    async def __anext__(self) -> Any:
        self.asked += 1
        return self.after.pop(0) if self.after else self.says


class Slow(Stuck):
    """Says nothing for a long time, but lets the loop turn: a provider that thinks."""

    def __init__(self, chunks: int) -> None:
        super().__init__()
        self.left = chunks

    async def __anext__(self) -> Any:
        await asyncio.sleep(0)
        self.left -= 1
        return None if self.left else "at last"


class Wrapper:
    """What the guard asks of LiteLLM's wrapper."""

    def __init__(self, provider: str | None = "openai", **said: Any) -> None:
        self.custom_llm_provider = provider
        self.__dict__.update(said)


wrapper = Wrapper


async def pull(source: Any) -> Any:
    """As `CustomStreamWrapper.__anext__` does."""
    async for chunk in source:
        if chunk is None:
            continue
        return chunk
    raise StopAsyncIteration


async def test_an_iterator_that_returns_none_for_ever_ends_as_a_failure_and_the_loop_goes_on() -> None:
    holder, turns = wrapper(), 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(others())
    stuck = Stuck()
    with pytest.raises(ProviderStreamError, match="no progress") as raised:
        await asyncio.wait_for(pull(watched(stuck, holder, tell_truncation=True)), 10)
    task.cancel()
    assert failure_of(raised.value).status == 503
    assert turns > 100
    assert stuck.asked < 20_000


async def test_a_source_that_is_only_slow_is_waited_for() -> None:
    assert await pull(watched(Slow(40_000), wrapper(), tell_truncation=True)) == "at last"


async def test_many_chunks_that_say_nothing_in_one_read_are_no_spin() -> None:
    source = watched(Stuck(after=(*[None] * 10_000, "word")), wrapper(), tell_truncation=True)
    assert await pull(source) == "word"


async def test_a_cancelled_pull_is_cancelled_within_a_turn() -> None:
    task = asyncio.create_task(pull(watched(Stuck(), wrapper(), tell_truncation=True)))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


class Sdk:
    """As the openai SDK's stream: each `async for` makes a generator of its own over the one iterator."""

    def __init__(self, *chunks: str) -> None:
        self.generators = 0
        self._chunks = self._read(chunks)

    async def _read(self, chunks: tuple[str, ...]) -> AsyncIterator[str]:
        for chunk in chunks:
            yield chunk

    async def __aiter__(self) -> AsyncIterator[str]:
        self.generators += 1
        async for chunk in self._chunks:
            yield chunk


async def test_one_iterator_serves_all_the_loops_that_litellm_leaves_after_a_chunk() -> None:
    stream = Sdk("one", "two", "three")
    source = watched(stream, wrapper(received_finish_reason="stop"), tell_truncation=True)

    assert [await pull(source) for _ in range(3)] == ["one", "two", "three"]
    assert stream.generators == 1
    with pytest.raises(StopAsyncIteration):
        await anext(aiter(source))


async def ended() -> AsyncIterator[Any]:
    for _ in ():
        yield _


class Ended(AsyncStream[Any]):
    """The openai SDK's stream, whose connection has ended."""

    def __init__(self, *data: str) -> None:
        self.data = data

    async def _iter_events(self) -> AsyncIterator[Any]:
        for data in self.data:
            yield SimpleNamespace(data=data)

    async def __aiter__(self) -> AsyncIterator[Any]:
        async for event in self._iter_events():
            if event.data.startswith("[DONE]"):
                break
            yield event


CUT = {
    "nothing was said": ({}, True),
    "a reason was given": ({"received_finish_reason": "stop"}, False),
    "a reason on the way": ({"intermittent_finish_reason": "tool_calls"}, False),
    "the last chunk is out": ({"sent_last_chunk": True}, False),
}


@pytest.mark.parametrize(("said", "cut"), CUT.values(), ids=CUT.keys())
async def test_a_source_that_ends_without_a_reason_was_cut(said: dict[str, Any], cut: bool) -> None:
    holder = wrapper(**said)
    with pytest.raises(ProviderStreamError if cut else StopAsyncIteration):
        await anext(aiter(watched(Ended(), holder, tell_truncation=True)))


@pytest.mark.parametrize("provider", ["petals", None])
async def test_a_provider_that_was_not_measured_is_not_accused(provider: str | None) -> None:
    holder = wrapper(provider)
    with pytest.raises(StopAsyncIteration):
        await anext(aiter(watched(Ended(), holder, tell_truncation=True)))


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("llms.anthropic.chat.handler", "ModelResponseIterator"),
        ("llms.vertex_ai.gemini.vertex_and_google_ai_studio_gemini", "ModelResponseIterator"),
        ("llms.openai.chat.gpt_transformation", "OpenAIChatCompletionStreamingHandler"),
        (f"{PARTNERS}.{LLAMA}.transformation", "VertexAILlama3StreamingHandler"),
        (
            "completion_extras.litellm_responses_transformation.transformation",
            "OpenAiResponsesToChatCompletionStreamIterator",
        ),
    ],
)
async def test_a_source_that_reads_the_providers_end_is_accused(module: str, name: str) -> None:
    kind, holder = getattr(import_module(f"litellm.{module}"), name), wrapper("vertex_ai")
    stream = type("Stream", (kind,), {"__init__": lambda _: None, "__aiter__": lambda _: ended()})()
    with pytest.raises(ProviderStreamError):
        await anext(aiter(watched(stream, holder, tell_truncation=True)))


@pytest.mark.parametrize(
    ("module", "name", "said"),
    [
        ("llms.vertex_ai.vertex_ai_non_gemini", "TextStreamer", ""),
        ("llms.vertex_ai.agent_engine.sse_iterator", "VertexAgentEngineResponseIterator", ended()),
    ],
)
async def test_a_source_that_makes_its_answer_up_is_not_accused(module: str, name: str, said: Any) -> None:
    kind, holder = getattr(import_module(f"litellm.{module}"), name), wrapper("vertex_ai")
    stream = kind(said) if isinstance(said, str) else kind(said, sync_stream=False)
    with pytest.raises(StopAsyncIteration):
        await anext(aiter(watched(stream, holder, tell_truncation=True)))


async def test_an_answer_that_ends_with_done_alone_is_whole() -> None:
    holder = wrapper()
    with pytest.raises(StopAsyncIteration):
        await anext(aiter(watched(Ended("[DONE]"), holder, tell_truncation=True)))


def test_what_is_pulled_in_another_way_is_left_alone() -> None:
    for stream in (None, "text", b"bytes", ("a", "list")):
        assert watched(stream, wrapper(), tell_truncation=True) is stream
    once = watched(ended(), wrapper(), tell_truncation=True)
    assert watched(once, wrapper(), tell_truncation=True) is once


def test_a_source_answers_as_the_stream_it_is() -> None:
    stream = Stuck()
    stream.response = "headers"  # type: ignore[attr-defined]
    assert watched(stream, wrapper(), tell_truncation=True).response == "headers"


def test_a_source_does_not_keep_its_wrapper() -> None:
    assert isinstance(watched(Stuck(), wrapper(), tell_truncation=True), Source)


class SyncStuck:
    """As a source of boto3's: pulled by `next`, in a thread."""

    def __init__(self, says: Any = None) -> None:
        self.says = says
        self.asked = 0

    def __iter__(self) -> SyncStuck:
        return self

    def __next__(self) -> Any:
        self.asked += 1
        return self.says


@pytest.mark.parametrize("says", [None, b""])
def test_a_source_in_a_thread_that_says_nothing_for_ever_ends_as_a_failure(says: Any) -> None:
    stuck = SyncStuck(says)
    with pytest.raises(ProviderStreamError, match="no progress") as raised:
        all(chunk in (None, b"") for chunk in watched(stuck, wrapper("bedrock"), tell_truncation=True))
    assert failure_of(raised.value).status == 503
    assert stuck.asked < 20_000


def test_a_source_in_a_thread_is_handed_on_as_it_is() -> None:
    chunks = [object(), None, b"", {"a": 1}, b"text"]
    assert list(watched(iter(chunks), wrapper("bedrock"), tell_truncation=True)) == chunks


@pytest.mark.filterwarnings("ignore::UserWarning:pydantic")
@pytest.mark.parametrize("stuck", [Stuck, SyncStuck])
async def test_litellms_own_wrapper_comes_back_and_takes_it_for_a_failure(stuck: type[Stuck | SyncStuck]) -> None:
    class Mended(CustomStreamWrapper):  # type: ignore[misc]
        """A class of its own: the mend of the real one would stay for all tests."""

    for name in ("__init__", "fetch_stream"):
        setattr(Mended, name, getattr(CustomStreamWrapper, name))
    mends_source._watch_init(Mended, touch(), tell_truncation=True)
    log = MagicMock(model_call_details={}, completion_start_time=None, _on_deferred_stream_complete=None)
    log.dispatch_attempt_failure_handlers = log.dispatch_failure_handlers = AsyncMock()
    stream = Mended(completion_stream=stuck(), model="m", custom_llm_provider="openai", logging_obj=log)

    with pytest.raises(Exception, match="no progress") as raised:
        await asyncio.wait_for(anext(stream), 20)
    assert failure_of(raised.value).status == 503
