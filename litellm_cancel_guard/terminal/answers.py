"""Failures before any stream exists: LiteLLM answers them itself, in words about its own insides, with no Retry-After.

The failure hook is told of them on every route, but what it returns counts on some routes only (`/v1/messages` ignores
it, 1.80 - 1.109). So it notes what the answer should say, and `host.mends.answers` sees to it that the answer does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from litellm_cancel_guard.terminal import sighting
from litellm_cancel_guard.terminal.events import Protocol
from litellm_cancel_guard.terminal.failure import (
    FIRST_SERVER_ERROR,
    RATE_LIMITED,
    failure_of,
    is_a_providers,
    is_of_a_stream,
)
from litellm_cancel_guard.terminal.reading import protocol_of

if TYPE_CHECKING:
    from collections.abc import Mapping


def note(error: Exception, request_data: Mapping[str, Any]) -> None:
    """Note what the answer to a streaming request should say, if a provider is why it fails.

    LiteLLM's own refusals and its advice about a wrong request stay in its words.
    """
    seen = sighting.current()
    if seen is None or not is_a_providers(error) or not _streams(seen.route, request_data):
        return
    failure = failure_of(error)
    if failure.status == RATE_LIMITED or failure.status >= FIRST_SERVER_ERROR:
        seen.answer = failure
        responses = protocol_of(seen.route, None) is Protocol.RESPONSES
        seen.retry_after = sighting.delay_before(failure, responses=responses, in_band=is_of_a_stream(error))


def _streams(route: str, request_data: Mapping[str, Any]) -> bool:
    return bool(request_data.get("stream")) or route.endswith("_stream")
