"""Streams behind whose last event LiteLLM may ask the provider once more."""

from __future__ import annotations

import sys
from typing import Any

# Where the hook is that every callback inherits, and which does nothing.
_DOES_NOT = "litellm.integrations.custom_logger"


def goes_on(stream: Any) -> bool:
    """Tell whether *stream* may ask its provider again behind its last event: another's slot would be used meanwhile.

    A `/v1/responses` stream that calls the tools it names sends one ``response.completed`` for each answer up to 1.83
    at least (responses/mcp/mcp_streaming_iterator.py); one of `/v1/messages` has a whole answer follow the other where
    a callback wants it (1.83 - 1.109, agentic_streaming_iterator.py).
    """
    return bool(getattr(stream, "should_auto_execute", False)) or _runs_a_loop(stream)


def _runs_a_loop(stream: Any) -> bool:
    if type(stream).__name__ != "AgenticAnthropicStreamingIterator" or getattr(stream, "_hold_back", False):
        return False
    # From 1.90 on it is made only for such callbacks (llms/custom_httpx/llm_http_handler.py); before, for every stream.
    known = hasattr(getattr(stream, "_http_handler", None), "_has_agentic_completion_hook")
    return known or any(map(_wants_a_loop, getattr(sys.modules.get("litellm"), "callbacks", ())))


def _wants_a_loop(callback: Any) -> bool:
    hook = getattr(type(callback), "async_should_run_agentic_loop", None)
    return getattr(hook, "__module__", _DOES_NOT) != _DOES_NOT
