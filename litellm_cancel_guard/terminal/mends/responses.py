"""The Responses API's failed events, seen where they come in.

On `/v1/messages` LiteLLM's bridge makes `stop_reason: end_turn` of them (up to 1.96, #39703) or an `api_error` (1.105
on), and on `/v1/responses` a 500 (1.103 on): the hook behind it can't tell a rate limit any more.
"""

from __future__ import annotations

import functools
import json
from typing import TYPE_CHECKING, Any

from litellm_cancel_guard.terminal.failure import failure_in, failure_of
from litellm_cancel_guard.terminal.mends.found import class_with, forget_others
from litellm_cancel_guard.terminal.sighting import current, saw

if TYPE_CHECKING:
    from litellm_cancel_guard.settings import Settings


def mend(_settings: Settings) -> bool:
    """Look at every event of a provider's Responses stream; change none."""
    base = class_with("responses.streaming_iterator", "BaseResponsesAPIStreamingIterator", "_process_chunk")
    if base is None:
        return False
    forget_others(base)
    _see_events(base)
    _see_failures(base)
    return True


def _see_events(base: Any) -> None:
    original = base._process_chunk

    @functools.wraps(original)
    def _process_chunk(self: Any, chunk: Any, *args: Any, **kwargs: Any) -> Any:
        if isinstance(chunk, str) and '"error"' in chunk:
            _see(chunk)
        return original(self, chunk, *args, **kwargs)

    base._process_chunk = _process_chunk


def _see_failures(base: Any) -> None:
    """See what the stream itself raises: the bridge logs it and ends the stream as a whole one."""
    handle = getattr(base, "_handle_failure", None)
    if handle is None:
        return

    @functools.wraps(handle)
    def _handle_failure(self: Any, exception: Exception, *args: Any, **kwargs: Any) -> Any:
        # The event itself was seen just before and says more: 1.93 raises a 500 of its own for every one.
        seen = current()
        if seen is not None and seen.failure is None:
            saw(failure_of(exception))
        return handle(self, exception, *args, **kwargs)

    base._handle_failure = _handle_failure


def _see(line: str) -> None:
    try:
        event = json.loads(line[line.find("{") :])
    except (ValueError, RecursionError):
        return
    # A delta may hold the text of an error, and `"error": null` is in every healthy response.
    if isinstance(event, dict) and event.get("type") in ("error", "response.failed", None):
        failure = failure_in(event)
        if failure is not None:
            saw(failure)
