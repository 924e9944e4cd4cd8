"""What the guard mends of LiteLLM's streams and answers, and a use of each with valid input, as LiteLLM's own."""

from __future__ import annotations

import functools
import inspect
import json
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any
from unittest.mock import MagicMock

from litellm_cancel_guard.redaction import for_client

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable


async def source(*chunks: Any) -> AsyncIterator[Any]:
    for chunk in chunks:
        yield chunk


async def _read(stream: Any) -> Any:
    return [chunk async for chunk in stream]


async def now(value: Any) -> Any:
    return await value if inspect.isawaitable(value) else value


def wrapper_of(made: Any, *more: Any, **given: Any) -> Any:
    given = {"model": "gpt", "logging_obj": MagicMock(), "custom_llm_provider": "openai", **given}
    return made(*more, **given)


async def _init(holder: Any, call: Any) -> Any:
    wrapper = wrapper_of(functools.partial(call.of_class, holder), completion_stream=source("a", "b"))
    return await _read(getattr(wrapper, "completion_stream_v4", None) or wrapper.completion_stream)


async def _fetch(holder: Any, call: Any) -> Any:
    async def make_call(client: Any = None) -> Any:
        return source("a", "b")

    wrapper = wrapper_of(holder, completion_stream=None, make_call=make_call)
    await now(call(wrapper))
    return await _read(getattr(wrapper, "completion_stream_v4", None) or wrapper.completion_stream)


async def _anthropic(holder: Any, call: Any) -> Any:
    delta = {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "hi"}}
    return text_of(await now(call(holder(streaming_response=None, sync_stream=False), delta)))


_GEMINI = {"candidates": [{"content": {"parts": [{"text": "hi"}], "role": "model"}, "index": 0}]}


def _gemini(holder: Any) -> Any:
    made = holder(streaming_response=object(), sync_stream=False, logging_obj=MagicMock())
    made.accumulated_json = ""
    return made


async def _gemini_parser(holder: Any, call: Any) -> Any:
    return text_of(await now(call(_gemini(holder), _GEMINI)))


async def _gemini_buffer(holder: Any, call: Any) -> Any:
    stream, text = _gemini(holder), json.dumps(_GEMINI)
    first = await now(call(stream, text[:20]))
    return first is None, text_of(await now(call(stream, text[20:])))


async def _bridge(holder: Any, call: Any) -> Any:
    delta = {"type": "response.output_text.delta", "delta": "hi", "item_id": "i", "output_index": 0, "content_index": 0}
    return text_of(await now(call(holder(streaming_response=None, sync_stream=False), delta)))


async def _responses(holder: Any, call: Any) -> Any:
    return await now(call(object.__new__(holder), ""))


async def _failure(holder: Any, call: Any) -> Any:
    return await now(call(object.__new__(holder), ValueError("a failure")))


async def _messages(holder: Any, call: Any) -> Any:
    bridge = holder(source(), "gpt")
    return [await now(call(bridge)) for _ in range(1)]


async def _create(holder: Any, call: Any) -> Any:
    answer = await now(call(holder, source("data: a\n\n", "data: b\n\n"), "text/event-stream", {}))
    return answer.status_code, await _read(answer.body_iterator)


async def _exception(holder: Any, call: Any) -> Any:
    answer = call.of_class(holder, "words", "kind", "param", 400)
    return answer.to_dict(), answer.code


async def _late(holder: Any, call: Any) -> Any:
    async def answer() -> Any:
        return "an answer"

    return [await now(call(holder, answer(), interval)) for interval in (None, 5)]


class _Ours:
    """A callback whose stream is the guard's own, as its class says."""

    cancel_guard_needs_no_layer = True


async def _layer(holder: Any, call: Any) -> Any:
    # From 1.103 on LiteLLM hands over what makes the stream, before that the stream.
    made = hasattr(import_module("litellm.proxy.utils"), "_UpstreamStreamBoundary")
    more: tuple[Any, ...] = (source("a", "b"), lambda response: source("c"), {}) if made else (source("a", "b"),)
    return await _read(await now(call(holder, _Ours(), *more)))


async def _agents(holder: Any, call: Any) -> Any:
    """What an agent of A2A 0.3 said last, as its SDK reads it."""
    kinds = import_module("a2a.compat.v0_3.types")
    status = {"state": "input-required"}
    said = {"taskId": "1", "contextId": "2", "status": status, "final": True}
    return str(await now(call(holder, kinds.TaskStatusUpdateEvent.model_validate(said))))


async def _redacts(holder: Any, call: Any) -> Any:
    return for_client("a word")


def _chunk(delta: dict[str, str], finish: str | None) -> str:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    chunk = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "gpt", "choices": [choice]}
    return f"data: {json.dumps(chunk)}"


CHAT = (_chunk({"content": "hi"}, None), _chunk({}, "stop"), "data: [DONE]")


async def _sdk(holder: Any, call: Any) -> Any:
    """A stream of the openai SDK's, under a wrapper of LiteLLM's."""
    import httpx
    from openai import AsyncOpenAI
    from openai.types.chat import ChatCompletionChunk

    body = "".join(f"{line}\n\n" for line in CHAT).encode()
    response = httpx.Response(200, content=source(body), request=httpx.Request("POST", "http://provider"))
    async with AsyncOpenAI(api_key="a key") as client:
        made = holder(cast_to=ChatCompletionChunk, response=response, client=client)
        wrapper = wrapper_of(stream_wrapper(), completion_stream=made)
        return [text_of(chunk) for chunk in await _read(wrapper.completion_stream)]


async def _decoded(holder: Any, call: Any) -> Any:
    return await _sdk(import_module("openai").AsyncStream, call=call)


async def _lines(holder: Any, call: Any) -> Any:
    """A stream that LiteLLM reads line by line."""
    from litellm.llms.openai.chat.gpt_transformation import OpenAIChatCompletionStreamingHandler

    made = OpenAIChatCompletionStreamingHandler(streaming_response=source(*CHAT), sync_stream=False)
    wrapper = wrapper_of(stream_wrapper(), completion_stream=made, custom_llm_provider="hosted_vllm")
    return [text_of(chunk) for chunk in await _read(wrapper.completion_stream)]


def stream_wrapper() -> Any:
    return import_module("litellm.litellm_core_utils.streaming_handler").CustomStreamWrapper


def text_of(chunk: Any) -> str:
    choices = getattr(chunk, "choices", None)
    return str(choices[0].delta.content) if choices else str(chunk)


@dataclass(frozen=True)
class Target:
    """What is mended, or leant on, and a use of it as LiteLLM's own.

    Attributes:
        inside: whether it is called by what it belongs to, which is not changed with it.
    """

    graft: str
    module: str
    owner: str | None
    name: str
    use: Callable[..., Any]
    inside: bool = False

    @property
    def path(self) -> str:
        """Of its module: LiteLLM's, or an SDK's."""
        return self.module if self.module.startswith(("openai", "a2a")) else f"litellm.{self.module}"

    def holder(self) -> Any:
        module = import_module(self.path)
        return module if self.owner is None else getattr(module, self.owner)


_GEMINI_MODULE = "llms.vertex_ai.gemini.vertex_and_google_ai_studio_gemini"
_BRIDGE_MODULE = "completion_extras.litellm_responses_transformation.transformation"
_RESPONSES_MODULE, _RESPONSES = "responses.streaming_iterator", "BaseResponsesAPIStreamingIterator"
_LINES_MODULE = "llms.base_llm.base_model_iterator"
_PROXY_MODULE = "proxy.common_request_processing"
TARGETS = (
    Target("stream.layers", "proxy.utils", "ProxyLogging", "_wrap_streaming_iterator_with_enrichment", _layer),
    Target("stream.source", "litellm_core_utils.streaming_handler", "CustomStreamWrapper", "__init__", _init),
    Target("stream.source", "litellm_core_utils.streaming_handler", "CustomStreamWrapper", "fetch_stream", _fetch),
    *(
        Target("stream.wires", "openai._streaming", "AsyncStream", name, _sdk, inside=True)
        for name in ("__init__", "_iter_events", "__stream__")
    ),
    *(
        Target("stream.wires", "openai._streaming", "SSEDecoder", name, _decoded, inside=True)
        for name in ("__init__", "aiter_bytes", "_aiter_chunks", "decode")
    ),
    Target("stream.wires", _LINES_MODULE, "BaseModelResponseIterator", "_handle_string_chunk", _lines, inside=True),
    Target("stream.anthropic", "llms.anthropic.chat.handler", "ModelResponseIterator", "chunk_parser", _anthropic),
    Target("stream.gemini", _GEMINI_MODULE, "ModelResponseIterator", "chunk_parser", _gemini_parser),
    Target("stream.gemini", _GEMINI_MODULE, "ModelResponseIterator", "handle_accumulated_json_chunk", _gemini_buffer),
    Target("stream.bridge", _BRIDGE_MODULE, "OpenAiResponsesToChatCompletionStreamIterator", "chunk_parser", _bridge),
    Target("stream.responses", _RESPONSES_MODULE, _RESPONSES, "_process_chunk", _responses),
    Target("stream.responses", _RESPONSES_MODULE, _RESPONSES, "_handle_failure", _failure),
    *(
        Target(
            "stream.messages",
            f"llms.anthropic.{place}.responses_adapters.streaming_iterator",
            "AnthropicResponsesStreamWrapper",
            "__anext__",
            _messages,
        )
        for place in ("experimental_pass_through", "pass_through", "messages")
    ),
    Target("stream.agents", "a2a.compat.v0_3.conversions", None, "to_core_task_status_update_event", _agents),
    Target("stream.headers", _PROXY_MODULE, None, "create_response", _create),
    Target("stream.answers", "proxy._types", "ProxyException", "__init__", _exception),
    Target("stream.late", _PROXY_MODULE, None, "open_sse_before_first_byte", _late),
    Target("stream.redaction", "litellm_core_utils.secret_redaction", None, "redact_string", _redacts),
    Target("stream.redaction", "_logging", None, "_redact_string", _redacts),
)
