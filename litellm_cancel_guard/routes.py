"""LiteLLM's routes by their call type: what of each a slot has to know."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    IsLast = Callable[[Any], bool]

# A tool call inside an answer runs under the slot of that answer.
NESTED_ROUTE = "call_mcp_tool"

# No stream or success hook is called on these (1.80 - 1.109): only the end of the request task gives their slot back.
UNHOOKED_ROUTES = frozenset({"pass_through_endpoint", "allm_passthrough_route"})


def last_messages_frame(chunk: Any) -> bool:
    """Tell whether *chunk* ends a ``/v1/messages`` stream; its frames come as bytes (1.80 - 1.109)."""
    return isinstance(chunk, bytes) and b"message_stop" in chunk


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
}
