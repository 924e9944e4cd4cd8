"""What is left of Gemini's stream at its end: nothing that matters, a failure, or the piece of a cut event."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from unittest.mock import MagicMock

import pytest
from litellm.llms.vertex_ai.gemini.vertex_and_google_ai_studio_gemini import ModelResponseIterator

from litellm_cancel_guard.host.mends import gemini
from litellm_cancel_guard.host.mends.source import watched
from litellm_cancel_guard.terminal.failure import failure_of
from tests.terminal.loose import touch

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

WORD = {"candidates": [{"content": {"parts": [{"text": "word"}], "role": "model"}, "index": 0}]}
END = {"candidates": [{"content": {"parts": [{"text": ""}], "role": "model"}, "index": 0, "finishReason": "STOP"}]}
LIMITED = {"error": {"code": 429, "status": "RESOURCE_EXHAUSTED", "message": "slow down"}}


class Wrapper(SimpleNamespace):
    """What the guard asks of LiteLLM's wrapper."""


class Iterator(ModelResponseIterator):  # type: ignore[misc]
    """A class of its own: the mend of the real one would stay for all tests."""

    def chunk_parser(self, chunk: Any) -> Any:
        return chunk


gemini._mend_buffer(Iterator, touch())
gemini._mend_parser(Iterator, touch())


async def read(*said: Any) -> list[Any]:
    async def lines() -> AsyncIterator[str]:
        for line in said:
            yield line if isinstance(line, str) else f"data: {json.dumps(line)}"

    # LiteLLM gives every chunk of Gemini's a finish_reason of `stop`.
    holder = Wrapper(custom_llm_provider="gemini", received_finish_reason="stop")
    stream = Iterator(streaming_response=lines(), sync_stream=False, logging_obj=MagicMock(optional_params={}))
    source = watched(stream, holder, tell_truncation=True)
    return [chunk async for chunk in source if chunk is not None]


@pytest.mark.parametrize("rest", ["data: [DONE]", "data: DONE", ": bye", "id: 7", "]", '{"candidates": [{"cont'])
async def test_what_is_left_after_a_finished_answer_is_no_failure(rest: str) -> None:
    assert await read(WORD, END, rest) == [WORD, END]


async def test_a_failure_after_a_finished_answer_is_one() -> None:
    with pytest.raises(Exception, match="slow down") as raised:
        await read(WORD, END, "data: DONE", f"and {json.dumps(LIMITED)}")
    assert failure_of(raised.value).status == 429


@pytest.mark.parametrize(
    ("reason", "status"),
    [("MALFORMED_FUNCTION_CALL", 503), ("UNEXPECTED_TOOL_CALL", 503), ("MISSING_THOUGHT_SIGNATURE", 400)],
)
async def test_a_reason_that_means_a_failure_is_one(reason: str, status: int) -> None:
    """LiteLLM says `stop` (1.80 - 1.110), and behind a tool call `tool_calls`: an agent runs what was not finished."""
    failed = {"candidates": [{"finishReason": reason, "index": 0}]}
    with pytest.raises(Exception, match=reason) as raised:
        await read(WORD, failed)
    assert failure_of(raised.value).status == status


@pytest.mark.parametrize("rest", ["data: [DONE]", ": bye", "id: 7", '{"candidates": [{"cont', "<html>busy</html>"])
async def test_what_is_left_of_an_unfinished_answer_was_cut(rest: str) -> None:
    with pytest.raises(Exception, match="before it was complete") as raised:
        await read(WORD, rest)
    assert failure_of(raised.value).status == 503


async def test_a_flushed_buffer_is_empty() -> None:
    """LiteLLM asks again for as long as it holds something (1.80 - 1.94)."""
    stream = Iterator(streaming_response=None, sync_stream=False, logging_obj=MagicMock(optional_params={}))
    stream.accumulated_json, stream.guard_finished = "]", True
    assert stream.handle_accumulated_json_chunk("") is None
    assert stream.accumulated_json == ""


def test_the_fields_of_an_event_are_not_what_its_provider_said() -> None:
    stream = Iterator(streaming_response=None, sync_stream=False, logging_obj=MagicMock(optional_params={}))
    for line in ("id: 429", ": 429", "event: x", "retry: 429", '{"cut'):
        stream.handle_accumulated_json_chunk(line)
    assert stream.guard_last_text == '{"cut'


def test_a_failure_is_no_failure_of_the_bill_that_is_made_behind_it() -> None:
    """LiteLLM parses a stream that has passed by again: raised there, its spend and its tokens would be lost."""
    bill = Iterator(streaming_response=None, sync_stream=False, logging_obj=MagicMock(optional_params={}))
    assert [bill.chunk_parser(chunk) for chunk in (WORD, LIMITED)] == [WORD, LIMITED]
    for left in ('{"cut', "", "<html>429</html>", ""):
        assert bill.handle_accumulated_json_chunk(left) is None
