"""Which failure of a stream LiteLLM lets a fallback take over."""

from __future__ import annotations

from litellm_cancel_guard.terminal.failure import FIRST_SERVER_ERROR, RATE_LIMITED


def as_taken_over(status: int) -> int:
    """Return *status*, or 500 where LiteLLM would let no fallback take it over: raised as a 500, each can.

    A client's own error ends the request, fallbacks or not; up to 1.81 a 429 is one of them (litellm_core_utils/
    streaming_handler.py: in `__anext__` itself, from 1.82 on in `_handle_stream_fallback_error`, which excepts it).
    What LiteLLM has made a 500 of by itself must stay one there; the client is told the cause of the exception.
    """
    from litellm.litellm_core_utils.streaming_handler import CustomStreamWrapper

    excepted = status == RATE_LIMITED and hasattr(CustomStreamWrapper, "_handle_stream_fallback_error")
    return status if excepted or status >= FIRST_SERVER_ERROR else FIRST_SERVER_ERROR
