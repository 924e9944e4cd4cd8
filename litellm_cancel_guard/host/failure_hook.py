"""LiteLLM's own ways with a failed stream: its failure hook, and what it answers before the first content."""

from __future__ import annotations

import sys
from typing import Any

from litellm_cancel_guard.redaction import for_client
from litellm_cancel_guard.redaction.records import log


def answers_in_anthropics_protocol() -> bool:
    """Tell whether LiteLLM makes an answer with Anthropic's body of what a `/v1/messages` stream raises at its start.

    From 1.106 on, anthropic_interface/exceptions/exception_mapping_utils.py `AnthropicErrorSseFrame`; before, it made
    OpenAI's body of it, which says no more than an opening error does.
    """
    module = sys.modules.get("litellm.anthropic_interface.exceptions.exception_mapping_utils")
    return hasattr(module, "AnthropicErrorSseFrame")


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
        _log_what_waits(proxy_logging, error, request_data)
        replaced = await proxy_logging.post_call_failure_hook(
            user_api_key_dict=user_api_key_dict, original_exception=error, request_data=request_data
        )
    except Exception as fault:
        log.warning("cancel_guard: LiteLLM's failure hook raised %s", for_client(repr(fault)))
        return None
    return replaced if isinstance(replaced, Exception) else None


def _log_what_waits(proxy_logging: Any, error: Exception, request_data: Any) -> None:
    """Log the spend that LiteLLM keeps back until the guardrails behind an answer have run (1.103 - 1.109, utils.py).

    It does so before its failure hook, which takes the log away: after it, nobody would be billed for the stream.
    """
    fire = getattr(proxy_logging, "_fire_deferred_stream_logging", None)
    discard = getattr(proxy_logging, "_discard_deferred_stream_logging_for_failure", None)
    try:
        if fire is not None and not (discard is not None and discard(request_data, error)):
            fire(request_data)
    except Exception:
        log.exception("cancel_guard: the spend of a failed stream could not be logged")
