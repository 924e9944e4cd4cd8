"""The Responses API's failed events, seen where they come in and noted on the stream that they came in.

LiteLLM makes a 500 of each on `/v1/responses` (1.103 on), nothing at all of one without a type (up to 1.103), and on
`/v1/messages` what `mends/messages.py` says. The note is the stream's own, and of what that stream raises: a fallback
that answers in its place is another stream, and bears none.
"""

from __future__ import annotations

import json
import weakref
from typing import TYPE_CHECKING, Any

from litellm_cancel_guard.host.grafting import has_methods
from litellm_cancel_guard.host.mends.found import class_with
from litellm_cancel_guard.terminal.failure import ProviderStreamError, failure_in, failure_of, note_on

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from litellm_cancel_guard.host.grafting import Touch
    from litellm_cancel_guard.settings import Settings

_TYPES = ("error", "response.failed", None)
_WHOLE = ("response.completed", "response.incomplete")
_DONE = "[DONE]"


def mend(_settings: Settings, touch: Touch) -> bool:
    """Look at every event of a provider's Responses stream; change none."""
    base = class_with("responses.streaming_iterator", "BaseResponsesAPIStreamingIterator", "_process_chunk")
    if base is None:
        return False
    _see_events(base, touch)
    _see_failures(base, touch)
    return True


def _see_events(base: Any, touch: Touch) -> None:
    # 1.108 on: it raises what a fallback takes over, and would not where the guard had raised first.
    tells_its_end = hasattr(base, "_raise_if_ended_without_terminal_event")

    def _process_chunk(original: Any, self: Any, chunk: Any, *args: Any, **kwargs: Any) -> Any:
        if isinstance(chunk, str) and '"error"' in chunk:
            event = _event(chunk)
            _note(self, event)
            if not tells_its_end:
                _end_in_its_note(self)
            self.guard_asks_why = _gives_no_reason(event)
            if self.guard_asks_why:
                return None
        if chunk == _DONE and getattr(self, "guard_asks_why", False):
            raise ProviderStreamError(self.guard_failure)
        return original(self, chunk, *args, **kwargs)

    touch.replace(base, "_process_chunk", _process_chunk, _may_fail)


def _may_fail(_stream: Any, chunk: Any, *_: Any, **__: Any) -> bool:
    return isinstance(chunk, str) and ('"error"' in chunk or chunk == _DONE)


def _see_failures(base: Any, touch: Touch) -> None:
    """Note on what the stream raises what it had reported; or on the stream what it raises, which a bridge swallows."""
    if not has_methods(base, "_handle_failure"):
        return

    def _handle_failure(original: Any, self: Any, exception: Exception, *args: Any, **kwargs: Any) -> Any:
        # The event itself was seen just before and says more: 1.93 raises a 500 of its own for every one.
        noted = getattr(self, "guard_failure", None)
        if noted is None:
            self.guard_failure = failure_of(exception)
        else:
            note_on(exception, noted)
        return original(self, exception, *args, **kwargs)

    touch.replace(base, "_handle_failure", _handle_failure)


def _event(line: str) -> dict[str, Any]:
    try:
        event = json.loads(line[line.find("{") :])
    except (ValueError, RecursionError):
        return {}
    return event if isinstance(event, dict) else {}


def _note(stream: Any, event: dict[str, Any]) -> None:
    """Note what an event reports; what is whole after all has not failed."""
    kind = event.get("type", "" if not event else None)
    # A delta may hold the text of an error, and `"error": null` is in every healthy response.
    failure = failure_in(event) if kind in _TYPES else None
    if failure is not None or kind in _WHOLE:
        stream.guard_failure = failure


def _gives_no_reason(event: dict[str, Any]) -> bool:
    """Tell whether the reason comes in the next event, an `error`: Azure's filter (maximhq/bifrost#6419).

    LiteLLM makes an end, or a 500, of the event without one, and reads no further.
    """
    response = event.get("response")
    return event.get("type") == "response.failed" and isinstance(response, dict) and not response.get("error")


def _end_in_its_note(stream: Any) -> None:
    """Let the source of *stream* end in what is noted instead of in silence; whatever it still says is handed on."""
    source = getattr(stream, "stream_iterator", None)
    noted = getattr(stream, "guard_failure", None) is not None
    if noted and hasattr(source, "__anext__") and not isinstance(source, _EndingIn):
        stream.stream_iterator = _EndingIn(source, weakref.ref(stream))


class _EndingIn:
    """The source of a stream that has reported a failure."""

    def __init__(self, source: Any, stream: Callable[[], Any]) -> None:
        self._source = source
        # A cycle would keep the provider's connection until it is collected.
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._source, name)

    def __aiter__(self) -> AsyncIterator[Any]:
        return self

    async def __anext__(self) -> Any:
        try:
            return await self._source.__anext__()
        except StopAsyncIteration:
            noted = getattr(self._stream(), "guard_failure", None)
            if noted is None:
                raise
            raise ProviderStreamError(noted) from None
