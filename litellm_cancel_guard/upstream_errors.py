"""LiteLLM's own ways with a failed stream: its failure hook, and its frame for an error before the first content."""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING, Any

from litellm_cancel_guard.terminal import anthropic_body, opening_error

if TYPE_CHECKING:
    from litellm_cancel_guard.failure import Failure

log = logging.getLogger("LiteLLM Proxy")


def messages_opening_error(failure: Failure) -> str:
    """Return a first frame of `/v1/messages` that becomes a plain answer of that status.

    From 1.106 on LiteLLM has a frame of its own for it, with Anthropic's body, which is also read where a keep-alive
    ping went out before (anthropic_interface/exceptions/exception_mapping_utils.py `AnthropicErrorSseFrame`).
    """
    module = sys.modules.get("litellm.anthropic_interface.exceptions.exception_mapping_utils")
    frame = getattr(module, "AnthropicErrorSseFrame", None)
    if frame is None:
        return opening_error(failure)
    try:
        return frame(failure.status, anthropic_body(failure))  # type: ignore[no-any-return]
    except Exception:
        return opening_error(failure)


async def report(error: Exception, user_api_key_dict: Any, request_data: Any, *, claimed: bool) -> Exception | None:
    """Tell LiteLLM of a stream's failure, as it would have been told had the failure reached it.

    Alerts, failed spend and other callbacks hang on this hook; a stream hook that yields an error would skip it.

    Args:
        error: what ended the stream.
        user_api_key_dict: the key of the request.
        request_data: LiteLLM's dict of the request.
        claimed: whether this route's reports are claimed first, so that there is one (from 1.103 on).

    Returns:
        The exception that a callback put in the error's place, if one did.
    """
    proxy_logging = getattr(sys.modules.get("litellm.proxy.proxy_server"), "proxy_logging_obj", None)
    if proxy_logging is None:
        return None
    try:
        claim = getattr(request_data.get("litellm_logging_obj"), "claim_stream_failure_report", None)
        if claimed and claim is not None and not claim():
            return None
        replaced = await proxy_logging.post_call_failure_hook(
            user_api_key_dict=user_api_key_dict, original_exception=error, request_data=request_data
        )
    except Exception as fault:
        log.warning("cancel_guard: LiteLLM's failure hook raised %r", fault)
        return None
    return replaced if isinstance(replaced, Exception) else None
