"""Which protocol a route speaks, as LiteLLM names it."""

from __future__ import annotations

from litellm_cancel_guard.terminal.events import Protocol

_CALL_TYPES = {
    "completion": Protocol.CHAT,
    "acompletion": Protocol.CHAT,
    "text_completion": Protocol.CHAT,
    "atext_completion": Protocol.CHAT,
    "anthropic_messages": Protocol.MESSAGES,
    "responses": Protocol.RESPONSES,
    "aresponses": Protocol.RESPONSES,
    "aget_responses": Protocol.RESPONSES,
    "generate_content_stream": Protocol.GENAI,
    "agenerate_content_stream": Protocol.GENAI,
    "asend_message": Protocol.A2A,
}
_PATHS = (
    ("/chat/completions", Protocol.CHAT),
    ("/completions", Protocol.CHAT),
    ("/messages", Protocol.MESSAGES),
    ("/responses", Protocol.RESPONSES),
    (":streamGenerateContent", Protocol.GENAI),
)


def protocol_of(call_type: str | None, path: str | None) -> Protocol | None:
    """Return the protocol of a route by its call type, else by its path; None for one that the guard doesn't speak."""
    if call_type in _CALL_TYPES:
        return _CALL_TYPES[call_type]
    plain = (path or "").split("?")[0].rstrip("/")
    return next((protocol for end, protocol in _PATHS if call_type is None and plain.endswith(end)), None)
