"""LiteLLM's routes by their call type: what of each a slot has to know."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    IsLast = Callable[[Any], bool]

# A tool call inside an answer runs under the slot of that answer.
NESTED_ROUTE = "call_mcp_tool"

# No stream or success hook is called on these (1.80 - 1.109; images: 1.80): only the end of the request task gives
# their slot back.
# Of a WebSocket that is the task of its session: it holds one slot from its opening to its close.
UNHOOKED_ROUTES = frozenset(
    {
        *("pass_through_endpoint", "allm_passthrough_route", "_arealtime", "_aresponses_websocket"),
        *("moderation", "aspeech", "transcription", "rerank", "image_generation", "alist_fine_tuning_jobs"),
        *("acreate_file", "afile_content", "afile_delete", "afile_list", "afile_retrieve"),
        *("acreate_realtime_client_secret", "acreate_realtime_transcription_session", "arealtime_calls"),
    }
)


# The lines that name the last event: a text that speaks of it has its line breaks and quotes escaped.
_STOP_LINE = re.compile(rb'^(?:event: ?message_stop\r?$|data: ?\{.*(?<!\\)"type"\s*:\s*"message_stop")', re.MULTILINE)


def goes_on(stream: Any) -> bool:
    """Tell whether *stream* may ask its provider again behind its last event, when it has called the tools it names.

    Such a `/v1/responses` stream sends one ``response.completed`` for each answer up to 1.83 at least
    (responses/mcp/mcp_streaming_iterator.py): released at the first, the slot would be another's while it goes on.
    """
    return bool(getattr(stream, "should_auto_execute", False))


def last_messages_frame(chunk: Any) -> bool:
    """Tell whether *chunk* ends a ``/v1/messages`` stream; its frames come as bytes (1.80 - 1.109).

    A model that writes about such streams has the word in its text: its slot would be another's while it goes on.
    """
    return isinstance(chunk, bytes) and b"message_stop" in chunk and _STOP_LINE.search(chunk) is not None


def last_responses_event(chunk: Any) -> bool:
    """Tell whether *chunk* ends a ``/v1/responses`` stream; its events are objects with a type."""
    return getattr(chunk, "type", None) in ("response.completed", "response.failed", "response.incomplete")


# Clients of these routes go on at the terminal event and do not wait for the end of the body: released only there,
# the slot would still be held when the next request of the same client comes. Chat waits for [DONE], which LiteLLM
# writes after the stream hook has ended.
LAST_FRAME: dict[str, IsLast] = {
    "anthropic_messages": last_messages_frame,
    "aresponses": last_responses_event,
    "responses": last_responses_event,
    # A stream that goes on from where its client has left it (`GET /v1/responses/ID?stream=true`).
    "aget_responses": last_responses_event,
}
