"""The reader at the wire: what a provider sent is seen before LiteLLM, or the openai SDK, makes chunks of it.

The SDK's streams read the connection by their decoder (openai 2.24 - 3.57, _streaming.py `_iter_events`); LiteLLM's own
iterators are handed line by line to `_handle_string_chunk` (1.80 - 1.110, llms/base_llm/base_model_iterator.py), and
Cohere's, which LiteLLM reads no end of, to a method of their own (llms/cohere/common_utils.py). Of iterators that have
no such method (watsonx' and what else is OpenAI-like: llms/databricks/streaming_utils.py; GigaChat's) what they read is
tapped. All on the one stream that is read; Gemini's, Anthropic's and Bedrock's iterators have mends of their own.
"""

from __future__ import annotations

import functools
import inspect
import weakref
from functools import partial
from typing import TYPE_CHECKING, Any

from litellm_cancel_guard.host.grafting import NotFoundError
from litellm_cancel_guard.host.mends.found import class_with
from litellm_cancel_guard.redaction.records import log
from litellm_cancel_guard.terminal.wire import Wire

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from litellm_cancel_guard.host.grafting import Touch
    from litellm_cancel_guard.settings import Settings

# Chat bridged to the Responses API hands events, which are objects, to the same method; it has a mend of its own.
_BRIDGE = "litellm.completion_extras.litellm_responses_transformation.transformation"
# The SDK gives what it exports another module's name.
_OF_THE_SDK = {("openai", "AsyncStream"), ("openai._streaming", "AsyncStream")}
_BASE = ("litellm.llms.base_llm.base_model_iterator", "BaseModelResponseIterator")
_COHERES = "litellm.llms.cohere.common_utils"
# Where an iterator that parses within its `__anext__` keeps the lines that it reads.
_KEEP_LINES = {
    "litellm.llms.databricks.streaming_utils": "streaming_response",
    "litellm.llms.gigachat.chat.streaming": "response_iterator",
}
_TAKE_LINES = (["self", "str_line"], ["self", "chunk"])
_ASIDE = "cancel_guard: a stream is read as LiteLLM reads it"
_in_force: list[Touch] = []


def mend(_settings: Settings, touch: Touch) -> bool:
    """Have every stream tapped from now on, where both kinds can be.

    Raises:
        NotFoundError: the SDK, or LiteLLM, reads its streams in another way here.
    """
    from openai import AsyncStream

    names = getattr(getattr(AsyncStream._iter_events, "__code__", None), "co_names", ())
    if not {"_decoder", "aiter_bytes"} <= set(names):
        raise NotFoundError("the openai SDK's AsyncStream does not read by its decoder")
    if class_with("llms.base_llm.base_model_iterator", "BaseModelResponseIterator", "_handle_string_chunk") is None:
        raise NotFoundError("LiteLLM has no BaseModelResponseIterator._handle_string_chunk")
    _in_force.append(touch)
    touch.when_out(lambda: _in_force.remove(touch))
    return True


def tapped(stream: Any, wrapper: Any) -> Wire | None:
    """Have all that *stream* reads be noted before it is parsed; None where this kind of stream can't be tapped."""
    if not any(touch.in_force for touch in _in_force):
        return None
    kinds = {(kind.__module__, kind.__name__) for kind in type(stream).__mro__}
    if is_of_the_sdk(stream) and hasattr(getattr(stream, "_decoder", None), "aiter_bytes"):
        wire = Wire(choices=_asked(wrapper))
        stream._decoder = _Decoder(stream._decoder, wire)
        return wire
    if type(stream).__module__ == _COHERES:
        return _noted(stream, "convert_str_chunk_to_generic_chunk", Wire(in_step=True))
    kept = _KEEP_LINES.get(type(stream).__module__)
    if kept is not None and hasattr(lines := getattr(stream, kept, None), "__aiter__"):
        wire = Wire(choices=_asked(wrapper), by_line=True)
        setattr(stream, kept, _Lines(lines, wire, partial(_note_line, wire)))
        return wire
    if _BASE not in kinds or any(module == _BRIDGE for module, _ in kinds) or "__anext__" in vars(type(stream)):
        return None
    return _noted(stream, "_handle_string_chunk", Wire(choices=_asked(wrapper), by_line=True))


def _noted(stream: Any, name: str, wire: Wire) -> Wire | None:
    """Have *wire* note each line that *stream* hands to its method *name*; None where that takes something else."""
    handle = getattr(type(stream), name, None)
    if handle is None or not _takes_lines(handle):
        return None
    setattr(stream, name, _noting(handle, weakref.ref(stream), wire))
    return wire


def is_of_the_sdk(stream: Any) -> bool:
    """Tell whether *stream* is read as the openai SDK reads its own: a class that reads otherwise is another's."""
    kind = next((kind for kind in type(stream).__mro__ if "__aiter__" in vars(kind)), None)
    return kind is not None and (kind.__module__, kind.__name__) in _OF_THE_SDK


def note_done(stream: Any) -> Callable[[], bool]:
    """Return whether the openai SDK's stream has read [DONE], which it keeps to itself (openai/_streaming.py).

    A server that speaks its protocol may end a whole answer with no more than that.
    """
    events = getattr(type(stream), "_iter_events", None)
    seen = [False]
    if events is None:
        return lambda: seen[0]
    # Weakly: the stream holds what it is given here, and would live until it is collected.
    known = weakref.ref(stream)

    async def noted() -> AsyncIterator[Any]:
        async for event in events(known()):
            if getattr(event, "data", "").startswith("[DONE]"):
                seen[0] = True
            yield event

    stream._iter_events = noted
    return lambda: seen[0]


def _asked(wrapper: Any) -> int:
    """Return how many choices the request asks for (LiteLLM 1.80 - 1.110, litellm_logging.py `optional_params`)."""
    details = getattr(getattr(wrapper, "logging_obj", None), "model_call_details", None)
    params = details.get("optional_params") if isinstance(details, dict) else None
    asked = params.get("n") if isinstance(params, dict) else None
    return asked if isinstance(asked, int) else 1


class _Decoder:
    """The SDK's decoder; what it reads is noted."""

    def __init__(self, decoder: Any, wire: Wire) -> None:
        self._decoder = decoder
        self._wire = wire

    def __getattr__(self, name: str) -> Any:
        return getattr(self._decoder, name)

    def aiter_bytes(self, reads: Any) -> Any:
        return self._decoder.aiter_bytes(_Reads(reads, self._wire, self._wire.read))


class _Reads:
    """One connection's reads. A generator would be one more to be closed when the client leaves."""

    def __init__(self, reads: Any, wire: Wire, note: Callable[[Any], None]) -> None:
        self._next = reads.__aiter__().__anext__
        self._wire = wire
        self._note = note

    def __aiter__(self) -> _Reads:
        return self

    async def __anext__(self) -> Any:
        data = await self._next()
        try:
            self._note(data)
        except Exception:
            self._wire.give_up()
            log.exception(_ASIDE)
        return data


class _Lines(_Reads):
    """One connection's lines; the connection is found behind it by whoever closes the stream."""

    def __init__(self, lines: Any, wire: Wire, note: Callable[[Any], None]) -> None:
        super().__init__(lines, wire, note)
        self._lines = lines

    def __getattr__(self, name: str) -> Any:
        return getattr(self._lines, name)

    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        # Whoever asks for the type of what he reads would fail of another.
        return type(self._lines)


def _note_line(wire: Wire, line: Any) -> None:
    if isinstance(line, str):
        wire.line(line)
    else:
        wire.give_up()


def _noting(handle: Callable[..., Any], stream: Callable[[], Any], wire: Wire) -> Callable[..., Any]:
    # Weakly: the stream holds what it is given here, and would keep the provider's connection until it is collected.
    def noted(*lines: Any, **named: Any) -> Any:
        (line,) = lines or named.values()
        try:
            _note_line(wire, line)
        except Exception:
            wire.give_up()
            log.exception(_ASIDE)
        return handle(stream(), line)

    return noted


@functools.cache
def _takes_lines(handle: Callable[..., Any]) -> bool:
    """Tell whether LiteLLM's method takes a line, by the name that LiteLLM calls it with, and nothing else."""
    try:
        return list(inspect.signature(handle).parameters) in _TAKE_LINES
    except (TypeError, ValueError):
        return False
