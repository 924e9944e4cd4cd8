"""What the guard mends of LiteLLM's streams and answers, changed in each way that makes sense; played with valid input.

A whole stream, and a healthy answer, are the same with the guard and without it, whatever the mend finds there.
"""

from __future__ import annotations

import functools
import inspect
import json
import re
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any
from unittest.mock import MagicMock

from litellm_cancel_guard.host import mends
from litellm_cancel_guard.host.grafting import Board
from litellm_cancel_guard.host.grafts import GRAFTS
from litellm_cancel_guard.redaction import Redaction, for_client, use
from litellm_cancel_guard.settings import Settings
from litellm_cancel_guard.terminal import sighting
from tests.mutants.stage import Mutant

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from tests.mutants.stage import Stage


async def source(*chunks: Any) -> AsyncIterator[Any]:
    for chunk in chunks:
        yield chunk


async def _read(stream: Any) -> Any:
    return [chunk async for chunk in stream]


async def _now(value: Any) -> Any:
    return await value if inspect.isawaitable(value) else value


def _wrapper(made: Any, *more: Any, **given: Any) -> Any:
    given = {"model": "gpt", "logging_obj": MagicMock(), "custom_llm_provider": "openai", **given}
    return made(*more, **given)


async def _init(holder: Any, call: Any) -> Any:
    wrapper = _wrapper(functools.partial(call.of_class, holder), completion_stream=source("a", "b"))
    return await _read(wrapper.completion_stream)


async def _fetch(holder: Any, call: Any) -> Any:
    async def make_call(client: Any = None) -> Any:
        return source("a", "b")

    wrapper = _wrapper(holder, completion_stream=None, make_call=make_call)
    await _now(call(wrapper))
    return await _read(wrapper.completion_stream)


async def _anthropic(holder: Any, call: Any) -> Any:
    delta = {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "hi"}}
    return _text(await _now(call(holder(streaming_response=None, sync_stream=False), delta)))


_GEMINI = {"candidates": [{"content": {"parts": [{"text": "hi"}], "role": "model"}, "index": 0}]}


def _gemini(holder: Any) -> Any:
    made = holder(streaming_response=object(), sync_stream=False, logging_obj=MagicMock())
    made.accumulated_json = ""
    return made


async def _gemini_parser(holder: Any, call: Any) -> Any:
    return _text(await _now(call(_gemini(holder), _GEMINI)))


async def _gemini_buffer(holder: Any, call: Any) -> Any:
    stream, text = _gemini(holder), json.dumps(_GEMINI)
    first = await _now(call(stream, text[:20]))
    return first is None, _text(await _now(call(stream, text[20:])))


async def _bridge(holder: Any, call: Any) -> Any:
    delta = {"type": "response.output_text.delta", "delta": "hi", "item_id": "i", "output_index": 0, "content_index": 0}
    return _text(await _now(call(holder(streaming_response=None, sync_stream=False), delta)))


async def _responses(holder: Any, call: Any) -> Any:
    return await _now(call(object.__new__(holder), ""))


async def _failure(holder: Any, call: Any) -> Any:
    return await _now(call(object.__new__(holder), ValueError("a failure")))


async def _messages(holder: Any, call: Any) -> Any:
    bridge = holder(source(), "gpt")
    return [await _now(call(bridge)) for _ in range(1)]


async def _create(holder: Any, call: Any) -> Any:
    answer = await _now(call(holder, source("data: a\n\n", "data: b\n\n"), "text/event-stream", {}))
    return answer.status_code, await _read(answer.body_iterator)


async def _exception(holder: Any, call: Any) -> Any:
    answer = call.of_class(holder, "words", "kind", "param", 400)
    return answer.to_dict(), answer.code


async def _late(holder: Any, call: Any) -> Any:
    async def answer() -> Any:
        return "an answer"

    return [await _now(call(holder, answer(), interval)) for interval in (None, 5)]


async def _redacts(holder: Any, call: Any) -> Any:
    return for_client("a word")


def _text(chunk: Any) -> str:
    choices = getattr(chunk, "choices", None)
    return str(choices[0].delta.content) if choices else str(chunk)


@dataclass(frozen=True)
class Target:
    """What is mended, and a use of it as LiteLLM's own."""

    graft: str
    module: str
    owner: str | None
    name: str
    use: Callable[[Any, Any], Any]

    def holder(self) -> Any:
        module = import_module(f"litellm.{self.module}")
        return module if self.owner is None else getattr(module, self.owner)


_GEMINI_MODULE = "llms.vertex_ai.gemini.vertex_and_google_ai_studio_gemini"
_BRIDGE_MODULE = "completion_extras.litellm_responses_transformation.transformation"
_RESPONSES_MODULE, _RESPONSES = "responses.streaming_iterator", "BaseResponsesAPIStreamingIterator"
_PROXY_MODULE = "proxy.common_request_processing"
TARGETS = (
    Target("stream.source", "litellm_core_utils.streaming_handler", "CustomStreamWrapper", "__init__", _init),
    Target("stream.source", "litellm_core_utils.streaming_handler", "CustomStreamWrapper", "fetch_stream", _fetch),
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
    Target("stream.headers", _PROXY_MODULE, None, "create_response", _create),
    Target("stream.answers", "proxy._types", "ProxyException", "__init__", _exception),
    Target("stream.late", _PROXY_MODULE, None, "open_sse_before_first_byte", _late),
    Target("stream.redaction", "litellm_core_utils.secret_redaction", None, "redact_string", _redacts),
    Target("stream.redaction", "_logging", None, "_redact_string", _redacts),
)


# Python itself calls these, by these names.
_OF_NO_PROTOCOL = {
    "__init__": ("renamed",),
    "__anext__": ("renamed", "a keyword more", "an argument more"),
}


class Call:
    """How LiteLLM calls it now."""

    def __init__(self, target: Target, operator: str) -> None:
        self._name = f"{target.name}_v4" if operator == "renamed" else target.name
        self._before = ("a tenant",) if operator == "an argument more" else ()
        self._more: dict[str, Any] = {"tenant": "a tenant"} if operator == "a keyword more" else {}
        self._boxed = operator == "another return type"

    def __call__(self, owner: Any, *args: Any) -> Any:
        return self._opened(getattr(owner, self._name)(*self._before, *args, **self._more))

    def of_class(self, made: Any, *args: Any, **kwargs: Any) -> Any:
        return made(*self._before, *args, **kwargs, **self._more)

    def _opened(self, answer: Any) -> Any:
        if not self._boxed:
            return answer
        if not inspect.isawaitable(answer):
            return answer[0]

        async def opened() -> Any:
            return (await answer)[0]

        return opened()


def _changes(original: Any, *, is_init: bool, of_class: bool) -> Iterator[tuple[str, Any]]:
    asynchronous = inspect.iscoroutinefunction(original)

    def broken(*_: Any, **__: Any) -> Any:
        raise RuntimeError("a mutant")

    async def broken_later(*_: Any, **__: Any) -> Any:
        raise RuntimeError("a mutant")

    def passes_on(*args: Any, **kwargs: Any) -> Any:
        return original(*args, **kwargs)

    async def passes_on_later(*args: Any, **kwargs: Any) -> Any:
        return await _now(original(*args, **kwargs))

    def keyword(*args: Any, tenant: Any, **kwargs: Any) -> Any:
        return original(*args, **kwargs)

    def position(first: Any, *args: Any, **kwargs: Any) -> Any:
        return original(first, *args[1:], **kwargs) if of_class else original(*args, **kwargs)

    def boxed(*args: Any, **kwargs: Any) -> Any:
        return (original(*args, **kwargs),)

    async def boxed_later(*args: Any, **kwargs: Any) -> Any:
        return (await original(*args, **kwargs),)

    def later(change: Any) -> Any:
        async def changed(*args: Any, **kwargs: Any) -> Any:
            return await change(*args, **kwargs)

        return changed if asynchronous else change

    yield "renamed", None
    yield "an exception at call", broken_later if asynchronous else broken
    yield "sync for async" if asynchronous else "any arguments", passes_on
    yield "a keyword more", later(keyword)
    yield "an argument more", later(position)
    if not is_init:
        yield "async for sync" if not asynchronous else "any arguments", passes_on_later
        yield "another return type", boxed_later if asynchronous else boxed
    if of_class and not is_init:
        yield "a property", property(lambda self: functools.partial(original, self))
        yield "a partial", functools.partialmethod(original)
    if not of_class:
        yield "a partial", functools.partial(original)


def mutants() -> Iterator[Mutant]:
    for target in TARGETS:
        try:
            original = vars(target.holder()).get(target.name)
        except (ModuleNotFoundError, AttributeError):
            continue
        if not inspect.isfunction(original):
            continue
        is_init, of_class = target.name == "__init__", target.owner is not None
        named = f"{target.owner or target.module.rpartition('.')[2]}.{target.name}"
        for operator, value in _changes(original, is_init=is_init, of_class=of_class):
            if operator in _OF_NO_PROTOCOL.get(target.name, ()):
                continue
            before = functools.partial(_put, target=target, operator=operator, value=value)
            yield Mutant(f"{target.graft}: {named}", operator, before, graft=target.graft, kind="stream")
        if of_class:
            frozen = functools.partial(_freeze, target=target)
            yield Mutant(f"{target.graft}: {named}", "takes no attributes", frozen, graft=target.graft, kind="stream")


def _put(stage: Stage, target: Target, operator: str, value: Any) -> None:
    holder = target.holder()
    stage.calls["stream"] = functools.partial(target.use, call=Call(target, operator))
    stage.calls["holder"] = target.holder
    if operator == "renamed":
        stage.put(holder, f"{target.name}_v4", vars(holder)[target.name])
        stage.remove(holder, target.name)
    else:
        stage.put(holder, target.name, value)


def _freeze(stage: Stage, target: Target) -> None:
    class Frozen(type(target.holder())):  # type: ignore[misc]
        def __setattr__(cls, name: str, value: Any) -> None:
            raise TypeError(f"cannot set {name!r} attribute of immutable type {cls.__name__!r}")

    holder = target.holder()
    stage.calls["stream"] = functools.partial(target.use, call=Call(target, ""))
    stage.calls["holder"] = target.holder
    immutable = Frozen(holder.__name__, (holder,), {"__module__": holder.__module__})
    stage.put(import_module(f"litellm.{target.module}"), target.owner or "", immutable)


async def play(stage: Stage, _mutant: Mutant, *, guarded: bool) -> dict[str, Any]:
    """Use what has been changed as LiteLLM does, and tell what came of it."""
    board = Board(GRAFTS)
    if guarded:
        mends.mend(Settings(), board)
        mends.mend_entrance(board)
        sighting.begin("/chat/completions").delay = 3.0
    try:
        said = await _used(stage) if stage.calls else ""
    finally:
        mends.take_out(board)
        use(Redaction())
    return {"said": said, "states": _states(board) if guarded else {}}


async def _used(stage: Stage) -> str:
    try:
        said = repr(await stage.calls["stream"](stage.calls["holder"]()))[:2000]
        return re.sub(r"msg_[\w-]+", "msg", said)
    except Exception as error:
        return f"raises {type(error).__name__}: {error}"[:300]


def _states(board: Board) -> dict[str, str]:
    stands = {status.graft.name: status.state.value for status in board.statuses()}
    return {name: state for name, state in stands.items() if name.startswith("stream.")}
