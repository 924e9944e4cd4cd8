"""LiteLLM's routes by their call type: what of each a slot has to know."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from litellm_cancel_guard.lease.agents import last_agent_event

if TYPE_CHECKING:
    from collections.abc import Callable

    IsLast = Callable[[Any], bool]

# A tool call inside an answer runs under the slot of that answer.
NESTED_ROUTE = "call_mcp_tool"
_OF_TOOLS = (NESTED_ROUTE, "list_mcp_tools")

# No stream or success hook is called on these (1.80 - 1.110; images: 1.80): their slot comes back with the end of the
# request task, of a WebSocket that of its session.
UNHOOKED_ROUTES = frozenset(
    {
        *("pass_through_endpoint", "allm_passthrough_route", "_arealtime", "_aresponses_websocket"),
        *("moderation", "aspeech", "transcription", "rerank", "image_generation", "alist_fine_tuning_jobs"),
        *("acreate_file", "afile_content", "afile_delete", "afile_list", "afile_retrieve"),
        *("acreate_realtime_client_secret", "acreate_realtime_transcription_session", "arealtime_calls"),
        *("acreate_realtime_translation_client_secret", "arealtime_translation_calls"),
    }
)


def ends(route: str, failed: Any) -> bool:
    """Tell whether the failure of *failed*, what LiteLLM's failure hook is given, is the end of a request of *route*.

    A tool call inside an answer, or the listing of its tools, does not end the answer, whole or failed. Of a tool that
    LiteLLM does not know, a client's own or one that the model made up, it tells nothing at all (1.83 - 1.109,
    responses/mcp/litellm_proxy_mcp_handler.py), and then asks the model again.
    """
    return route == NESTED_ROUTE or (bool(failed) and failed.get("call_type") not in _OF_TOOLS)


# The lines that name the last event: a text that speaks of it has its line breaks and quotes escaped.
_STOP_LINE = re.compile(rb'^(?:event: ?message_stop\r?$|data: ?\{.*(?<!\\)"type"\s*:\s*"message_stop")', re.MULTILINE)


def last_messages_frame(chunk: Any) -> bool:
    """Tell whether *chunk* ends a ``/v1/messages`` stream; its frames come as bytes (1.80 - 1.109).

    A model that writes about such streams has the word in its text: its slot would be another's while it goes on.
    """
    return isinstance(chunk, bytes) and chunk.find(b"message_stop") >= 0 and _STOP_LINE.search(chunk) is not None


def last_responses_event(chunk: Any) -> bool:
    """Tell whether *chunk* ends a ``/v1/responses`` stream; its events are objects with a type."""
    return getattr(chunk, "type", None) in ("response.completed", "response.failed", "response.incomplete")


# Clients of these routes go on at the terminal event: released at the end of the body, the slot would still be held at
# their next request. Chat waits for [DONE], which LiteLLM writes after the stream hook has ended.
LAST_FRAME: dict[str, IsLast] = {
    "anthropic_messages": last_messages_frame,
    "aresponses": last_responses_event,
    "responses": last_responses_event,
    # A stream that goes on from where its client has left it (`GET /v1/responses/ID?stream=true`).
    "aget_responses": last_responses_event,
    # Every call of an agent (`/a2a/AGENT`), whatever its method (1.83 - 1.110).
    "asend_message": last_agent_event,
}
