"""Gemini's and Vertex' stream: the exhausted iterator that returns None for ever, and errors that pass for chunks.

At the end of a stream whose JSON buffer holds text that is no JSON (a cut event, a 429 page, an unclosed array)
`handle_accumulated_json_chunk("")` returns None and keeps the buffer: it is asked again, for ever (#26015; 1.80 - 1.94,
llms/vertex_ai/gemini/vertex_and_google_ai_studio_gemini.py). From 1.95 on it ends in silence instead.
`chunk_parser` takes `{"error": ...}` for a chunk without candidates (up to 1.86), and an array for nothing (1.109).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from litellm_cancel_guard.host.called import Meant
from litellm_cancel_guard.host.mends.found import class_with
from litellm_cancel_guard.terminal.ends import failure_by
from litellm_cancel_guard.terminal.failure import Failure, ProviderStreamError, failure_in, failure_in_text
from litellm_cancel_guard.terminal.wording import embedded_json

if TYPE_CHECKING:
    from collections.abc import Iterator

    from litellm_cancel_guard.host.grafting import Touch
    from litellm_cancel_guard.settings import Settings

_MODULE = "llms.vertex_ai.gemini.vertex_and_google_ai_studio_gemini"
# How much of a text that no parser understood is kept, to look for a 429 in it.
_KEPT = 8192
# What is left of a whole stream that was framed as an array.
_HARMLESS = " \r\n\t,]"
# Lines of an event that hold no JSON; LiteLLM puts them into its buffer all the same.
_FIELDS = ("id:", "event:", "retry:", ":")


def mend(_settings: Settings, touch: Touch) -> bool:
    """Mend the iterator where LiteLLM has one that accumulates."""
    iterator = class_with(_MODULE, "ModelResponseIterator", "handle_accumulated_json_chunk", "chunk_parser")
    if iterator is None:
        return False
    _mend_buffer(iterator, touch)
    _mend_parser(iterator, touch)
    return True


def _mend_buffer(iterator: Any, touch: Touch) -> None:
    def handle_accumulated_json_chunk(original: Any, self: Any, chunk: str, *args: Any, **kwargs: Any) -> Any:
        if not chunk.startswith(_FIELDS):
            # Newlines say where a text was cut; a JSON text has none that matter.
            self.guard_last_text = (getattr(self, "guard_last_text", "") + chunk)[-_KEPT:]
        result = original(self, chunk, *args, **kwargs)
        if result is not None:
            self.guard_last_text = ""
            return result
        # Only the flush at the stream's end has nothing to add.
        if chunk == "":
            self.accumulated_json = ""
            _raise_what_is_left(self)
        return None

    touch.replace(iterator, "handle_accumulated_json_chunk", handle_accumulated_json_chunk)


def _raise_what_is_left(stream: Any) -> None:
    """Raise the failure that the rest of a stream tells of; after a finished answer it may be anything else."""
    if not _is_read(stream):
        return
    left = stream.guard_last_text
    if getattr(stream, "guard_finished", False):
        failure = failure_in(embedded_json(left))
    else:
        failure = failure_in_text(left) if left.strip(_HARMLESS) else None
    if failure is not None:
        raise Meant(_error(failure))


def _mend_parser(iterator: Any, touch: Touch) -> None:
    def chunk_parser(original: Any, self: Any, chunk: Any, *args: Any, **kwargs: Any) -> Any:
        if not _is_read(self):
            return original(self, chunk, *args, **kwargs)
        failure = _failure_of(chunk)
        if failure is not None:
            raise Meant(_error(failure))
        parsed = original(self, chunk, *args, **kwargs)
        self.guard_finished = getattr(self, "guard_finished", False) or _says_the_end(chunk)
        return parsed

    touch.replace(iterator, "chunk_parser", chunk_parser, _says_more)


def _failure_of(chunk: Any) -> Failure | None:
    """Return what *chunk* tells of a failure: by an error, or by the reason that the answer has ended with.

    LiteLLM makes `stop` of such a reason, or `tool_calls` of one behind a call (1.80 - 1.110), and an error of its own
    of an error, whose status is then another (1.110: of a 503 a 500).
    """
    if isinstance(chunk, list):
        return failure_in(chunk)
    if not isinstance(chunk, dict):
        return None
    if "candidates" not in chunk:
        return failure_in(chunk)
    reasons = (str(candidate.get("finishReason")) for candidate in _candidates(chunk))
    return next((failure for reason in reasons if (failure := failure_by(reason)) is not None), None)


def _candidates(chunk: dict[str, Any]) -> Iterator[dict[str, Any]]:
    return (candidate for candidate in chunk.get("candidates") or () if isinstance(candidate, dict))


def _says_more(parser: Any, chunk: Any, *_: Any, **__: Any) -> bool:
    """Tell whether *chunk* is the first of its stream, or more than the next words of an answer.

    Without the first, nobody would note that the answer has not ended, and LiteLLM's `stop` would be believed.
    """
    if not hasattr(parser, "guard_finished"):
        return True
    return not isinstance(chunk, dict) or "candidates" not in chunk or _says_the_end(chunk)


def _is_read(stream: Any) -> bool:
    """Tell whether a client reads it; LiteLLM parses what has passed by once more, of no stream, for the bill.

    A failure raised there costs the success event of a stream that failed in the middle, its spend and its tokens
    (1.83, proxy/pass_through_endpoints/llm_provider_handlers/gemini_passthrough_logging_handler.py and vertex_…).
    """
    return getattr(stream, "streaming_response", None) is not None


def _says_the_end(chunk: Any) -> bool:
    """Tell whether Google ends the answer here; LiteLLM gives every chunk a finish_reason of `stop`."""
    if not isinstance(chunk, dict):
        return False
    ended = any(candidate.get("finishReason") for candidate in _candidates(chunk))
    return ended or bool((chunk.get("promptFeedback") or {}).get("blockReason"))


def _error(failure: Failure) -> Exception:
    """Return the provider's error as LiteLLM's own: mapped, logged and given to its fallbacks as any other."""
    from litellm.llms.vertex_ai.common_utils import VertexAIError

    error: Exception = VertexAIError(status_code=failure.status, message=failure.message)
    error.__cause__ = ProviderStreamError(failure)
    return error
