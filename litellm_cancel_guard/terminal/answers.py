"""Failures before any stream exists: LiteLLM answers them itself, in words about its own insides, with no Retry-After.

The failure hook is told of them on every route, but what it returns counts on some routes only (`/v1/messages` ignores
it, 1.80 - 1.109). So it notes what the answer should say, and `host.mends.answers` sees to it that the answer does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from litellm_cancel_guard.terminal import meanings, sighting
from litellm_cancel_guard.terminal.events import Protocol
from litellm_cancel_guard.terminal.failure import (
    FIRST_SERVER_ERROR,
    RATE_LIMITED,
    before_anything,
    failure_of,
    is_a_providers,
    is_of_a_connection,
)
from litellm_cancel_guard.terminal.routes import protocol_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from litellm_cancel_guard.terminal.failure import Failure


def note(error: Exception, request_data: Mapping[str, Any]) -> None:
    """Note what the answer to a request should say, if a provider is why it fails.

    LiteLLM's own refusals and its advice about a wrong request stay in its words, and so does what a provider has
    answered to a request that does not stream; but a limit on the Responses API says when to ask again.
    """
    seen = sighting.current()
    if seen is None:
        return
    streams, broke = _streams(seen.route, request_data), is_of_a_connection(error)
    # What ends a stream before its first chunk may be its client's own: Gemini's (1.103 - 1.110, router.py).
    if not (is_a_providers(error) or (streams and broke)):
        return
    failure = before_anything(failure_of(error))
    told_as = meanings.number_of(getattr(error, "status_code", None)) or FIRST_SERVER_ERROR
    responses = protocol_of(seen.route, None) is Protocol.RESPONSES
    noted = _is_noted(failure, told_as) and (streams or broke)
    if noted:
        seen.answer, seen.told_as = failure, told_as
    if noted or (responses and failure.status == RATE_LIMITED):
        seen.retry_after = sighting.delay_before(failure, responses=responses)


def _is_noted(failure: Failure, told_as: int) -> bool:
    """Tell whether it is no refusal, or one that LiteLLM is about to tell as a fault of the provider's."""
    return failure.status == RATE_LIMITED or max(failure.status, told_as) >= FIRST_SERVER_ERROR


def _streams(route: str, request_data: Mapping[str, Any]) -> bool:
    return bool(request_data.get("stream")) or route.endswith("_stream")
