"""Chat bridged to the Responses API: what has said its end is whole, what has not was cut."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from litellm.completion_extras.litellm_responses_transformation.transformation import (
    OpenAiResponsesToChatCompletionStreamIterator,
)
from litellm.types.llms.openai import ResponsesAPIStreamEvents

from litellm_cancel_guard.host.mends import bridge
from litellm_cancel_guard.host.mends.source import watched
from litellm_cancel_guard.terminal.failure import ProviderStreamError
from tests.terminal.loose import touch

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class Wrapper(SimpleNamespace):
    """What the guard asks of LiteLLM's wrapper."""


class Bridge(OpenAiResponsesToChatCompletionStreamIterator):  # type: ignore[misc]
    """A class of its own: the mend of the real one would stay for all tests."""

    def chunk_parser(self, chunk: Any) -> Any:
        return chunk


bridge._note_the_end(Bridge, touch())


async def lines(*kinds: str) -> AsyncIterator[str]:
    for kind in kinds:
        yield f"data: {json.dumps({'type': kind})}"


async def read(*kinds: str, provider: str | None = "openai") -> int:
    holder = Wrapper(custom_llm_provider=provider)
    source = watched(Bridge(lines("response.created", *kinds), sync_stream=False), holder, tell_truncation=True)
    return len([chunk async for chunk in source])


# On `/cursor/chat/completions` LiteLLM names none, whoever answers behind the bridge.
providers = pytest.mark.parametrize("provider", ["openai", None])


@providers
@pytest.mark.parametrize("end", ["response.completed", "response.incomplete"])
async def test_a_bridged_answer_that_says_its_end_is_whole(end: str, provider: str | None) -> None:
    assert await read("response.output_text.delta", end, provider=provider) == 3


@providers
@pytest.mark.parametrize("last", ["response.output_text.delta", "response.output_text.done", "response.failed"])
async def test_a_bridged_answer_that_does_not_say_that_it_ends_well_was_cut(last: str, provider: str | None) -> None:
    with pytest.raises(ProviderStreamError, match="before it was complete"):
        await read(last, provider=provider)


@pytest.mark.parametrize(
    "chunk",
    [
        {"type": ResponsesAPIStreamEvents.RESPONSE_INCOMPLETE},
        SimpleNamespace(type=ResponsesAPIStreamEvents.RESPONSE_INCOMPLETE),
        SimpleNamespace(type="response.incomplete"),
    ],
)
def test_the_end_is_known_in_whatever_form_it_comes(chunk: Any) -> None:
    stream = Bridge(lines(), sync_stream=False)
    assert stream.chunk_parser(chunk) is chunk
    assert stream.guard_finished
