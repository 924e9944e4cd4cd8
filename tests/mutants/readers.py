"""What the guard taps and ends beneath LiteLLM's parsers, and a use of each: iterators of lines, and its client."""

from __future__ import annotations

import collections.abc
import functools
import gc
import json
from importlib import import_module
from typing import TYPE_CHECKING, Any

from tests.mutants.stage import Mutant
from tests.mutants.uses import CHAT, Target, source, stream_wrapper, text_of, wrapper_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from tests.mutants.stage import Stage

    # By operator: what becomes of each method.
    Changes = dict[str, dict[str, Callable[[Any], Any]]]

_WIRES, _BEHIND, _DESTRUCTOR = "stream.wires", "stream.behind", "stream.destructor"
_COHERE = (
    {"type": "content-delta", "index": 0, "delta": {"message": {"content": {"text": "hi"}}}},
    {"type": "message-end", "delta": {"finish_reason": "COMPLETE"}},
)
_MESSAGES = (
    b'event: content_block_delta\ndata: {"type": "content_block_delta", "delta": {"text": "hi"}}\n\n',
    b'event: message_stop\ndata: {"type": "message_stop"}\n\n',
)


async def _iterated(made: Any, provider: str) -> Any:
    """Read a stream of LiteLLM's own iterators, under its wrapper, as LiteLLM does."""
    wrapper = wrapper_of(stream_wrapper(), completion_stream=made, custom_llm_provider=provider)
    return [text_of(chunk) async for chunk in wrapper.completion_stream]


async def _chat(holder: Any, call: Any) -> Any:
    """Read a stream as the proxy does."""
    made = _class(_OPENAI)(streaming_response=source(*CHAT), sync_stream=False)
    wrapper = wrapper_of(holder, completion_stream=made, custom_llm_provider="hosted_vllm")
    return [text_of(chunk) async for chunk in wrapper]


async def _databricks(holder: Any, call: Any) -> Any:
    return await _iterated(call.of_class(holder, streaming_response=source(*CHAT), sync_stream=False), "watsonx")


async def _gigachat(holder: Any, call: Any) -> Any:
    return await _iterated(call.of_class(holder, streaming_response=source(*CHAT), sync_stream=False), "gigachat")


async def _cohere(holder: Any, call: Any) -> Any:
    lines = source(*map(json.dumps, _COHERE))
    return await _iterated(call.of_class(holder, streaming_response=lines, sync_stream=False), "cohere_chat")


async def _asked(holder: Any, call: Any, path: str = "/v1/messages", chunks: tuple[bytes, ...] = _MESSAGES) -> Any:
    """What LiteLLM's own client reads of a provider's stream."""
    import httpx

    def answer(_: Any) -> Any:
        return httpx.Response(200, content=source(*chunks))

    client = holder()
    await client.client.aclose()
    client.client = httpx.AsyncClient(transport=httpx.MockTransport(answer))
    async with client.client:
        response = await call(client, f"http://provider{path}", stream=True)
        return [chunk async for chunk in response.aiter_raw()]


def _bedrock() -> Any:
    from tests.failures.aws import message

    told = (
        ("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": "hi"}}),
        ("messageStop", {"stopReason": "end_turn"}),
        ("metadata", {"usage": {"inputTokens": 3, "outputTokens": 2, "totalTokens": 5}}),
    )
    frames = (message(said, event_type=kind, message_type="event") for kind, said in told)
    return functools.partial(_asked, path="/model/a-model/converse-stream", chunks=tuple(frames))


async def _destroyed(_: Any, call: Any) -> Any:
    """Read a stream whole, and let go of it."""
    closed: list[str] = []
    wrapper = wrapper_of(stream_wrapper(), completion_stream=source("a", "b"))
    wrapper.when_closed = closed.append
    chunks = [chunk async for chunk in wrapper.completion_stream]
    del wrapper
    gc.collect()
    return chunks, closed


_STREAMS = ("litellm_core_utils.streaming_handler", "CustomStreamWrapper")
_OPENAI = ("llms.openai.chat.gpt_transformation", "OpenAIChatCompletionStreamingHandler")
_RESTORE = "_restore_consumer_correlation_context"
_DATABRICKS = ("llms.databricks.streaming_utils", "ModelResponseIterator")
_GIGACHAT = ("llms.gigachat.chat.streaming", "GigaChatModelResponseIterator")
_COHERES = ("llms.cohere.common_utils", "CohereV2ModelResponseIterator")
_CLIENT = ("llms.custom_httpx.http_handler", "AsyncHTTPHandler")
_CONVERT = "convert_str_chunk_to_generic_chunk"
TARGETS = (
    *(Target(_WIRES, *_DATABRICKS, name, _databricks, inside=True) for name in ("__init__", "__anext__")),
    *(Target(_WIRES, *_GIGACHAT, name, _gigachat, inside=True) for name in ("__init__", "__anext__")),
    *(Target(_WIRES, *_COHERES, name, _cohere, inside=True) for name in ("__init__", _CONVERT)),
    Target(_BEHIND, *_CLIENT, "post", _asked),
    Target(_DESTRUCTOR, *_STREAMS, "__del__", _destroyed, inside=True),
)


def _moved(original: Any, name: str) -> Any:
    def init(self: Any, *args: Any, **kwargs: Any) -> None:
        original(self, *args, **kwargs)
        vars(self)[f"{name}_v4"] = vars(self).pop(name)

    return init


def _as_bytes(original: Any) -> Any:
    """Read bytes where it has read lines."""

    async def encoded(lines: Any) -> AsyncIterator[bytes]:
        async for line in lines:
            yield line.encode()

    def init(self: Any, streaming_response: Any, **kwargs: Any) -> None:
        original(self, streaming_response=encoded(streaming_response), **kwargs)

    return init


async def _decoded(chunks: Any) -> AsyncIterator[str]:
    async for chunk in chunks:
        yield chunk if isinstance(chunk, str) else chunk.decode()


def _reading(name: str, other: str, change: Callable[[Any], Any]) -> Any:
    """Read what is kept as *name*, changed, by way of *other*, as it was read before."""

    def begin(self: Any) -> Any:
        vars(self)[other] = change(getattr(self, name)).__aiter__()
        return self

    return begin


def _asking_for_its_type(name: str, kind: Any = collections.abc.AsyncGenerator) -> Callable[[Any], Any]:
    def of(original: Any) -> Any:
        async def read(self: Any) -> Any:
            if not isinstance(getattr(self, name), kind):
                raise TypeError(f"{name} is of another type")
            return await original(self)

        return read

    return of


def mutants() -> Iterator[Mutant]:
    """Those that want more than one change."""
    kept, begun = "streaming_response", "async_response_iterator"
    renamed = {
        "__init__": lambda original: _moved(original, kept),
        "__aiter__": lambda _: _reading(f"{kept}_v4", begun, _decoded),
    }
    in_bytes = {"__init__": _as_bytes, "__aiter__": lambda _: _reading(kept, begun, _decoded)}
    for owner, use in ((_DATABRICKS, _databricks), (_COHERES, _cohere)):
        yield from _of(owner, use, {"its lines renamed": renamed, "bytes for lines": in_bytes})
    asks = {"__anext__": _asking_for_its_type(kept)}
    yield from _of(_DATABRICKS, _databricks, {"asks for its type": asks})
    yield from _of(
        _GIGACHAT, _gigachat, {"asks for its type": {"__anext__": _asking_for_its_type("response_iterator")}}
    )
    asks = {"__anext__": _asking_for_its_type("completion_stream", _class(_OPENAI))}
    yield from _of(_STREAMS, _chat, {"any order": {}, "asks for its type": asks}, "stream.source")
    yield from _of(_CLIENT, _bedrock(), {"Bedrock's messages": {}}, _BEHIND)
    yield from _of(_CLIENT, _asked, {"its bound stream does more": {}}, _BEHIND, _bound_does_more)
    yield from _of(_CLIENT, _asked, {"its stream is a property": {}}, _BEHIND, _stream_is_a_property)
    if hasattr(_class(_STREAMS), "__del__"):
        more: Changes = {"what it calls does more": {_RESTORE: _doing_more}}
        yield from _of(_STREAMS, _destroyed, more, _DESTRUCTOR)


def _class(owner: tuple[str, str]) -> Any:
    return getattr(import_module(f"litellm.{owner[0]}"), owner[1])


def _of(
    owner: tuple[str, str],
    use: Any,
    changes: Changes,
    graft: str = _WIRES,
    beside: Callable[[Stage], None] = lambda _: None,
) -> Iterator[Mutant]:
    for operator, methods in changes.items():
        before = functools.partial(_put, owner=owner, use=use, methods=methods, beside=beside)
        yield Mutant(f"{graft}: {owner[1]}", operator, before, graft=graft, kind="stream")


def _put(stage: Stage, owner: tuple[str, str], use: Any, methods: dict[str, Any], beside: Any) -> None:
    holder = _class(owner)
    for name, change in methods.items():
        stage.put(holder, name, change(vars(holder).get(name)))
    beside(stage)
    stage.calls["stream"] = functools.partial(use, call=_as_ever)
    stage.calls["holder"] = functools.partial(_class, owner)


class _AsEver:
    """LiteLLM calls it as it always has."""

    def __call__(self, owner: Any, *args: Any, **kwargs: Any) -> Any:
        return owner.post(*args, **kwargs)

    def of_class(self, made: Any, *args: Any, **kwargs: Any) -> Any:
        return made(*args, **kwargs)


_as_ever = _AsEver()


def _doing_more(original: Any) -> Any:
    def restore(self: Any, **kwargs: Any) -> None:
        original(self, **kwargs)
        when_closed = getattr(self, "when_closed", None)
        if kwargs and when_closed is not None:
            when_closed("closed")

    return restore


def _bound_does_more(stage: Stage) -> None:
    """Have httpx' own layer around a connection change what it hands on."""
    from httpx import _client

    async def read(self: Any) -> AsyncIterator[bytes]:
        async for chunk in self._stream:
            yield chunk.replace(b"hi", b"more")

    stage.put(_client.BoundAsyncStream, "__aiter__", read)


def _stream_is_a_property(stage: Stage) -> None:
    """Have a response keep its connection where nobody else can set it."""
    import httpx

    def get(self: Any) -> Any:
        return vars(self)["_kept"]

    def put(self: Any, value: Any) -> None:
        if "_kept" in vars(self) and type(value).__module__.startswith("litellm_cancel_guard"):
            raise AttributeError("can't set attribute 'stream'")
        vars(self)["_kept"] = value

    stage.put(httpx.Response, "stream", property(get, put))
