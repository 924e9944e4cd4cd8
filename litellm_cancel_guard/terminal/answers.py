"""Failures before any stream exists: LiteLLM answers them itself, in words about its own insides, with no Retry-After.

The failure hook is told of them on every route, but what it returns counts on some routes only (`/v1/messages` ignores
it, 1.80 - 1.109). So it notes what the answer should say, and `mends.answers` sees to it that the answer does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from litellm_cancel_guard.terminal import sighting
from litellm_cancel_guard.terminal.failure import FIRST_SERVER_ERROR, RATE_LIMITED, failure_of

if TYPE_CHECKING:
    from collections.abc import Mapping


def note(error: Exception, request_data: Mapping[str, Any]) -> None:
    """Note what the answer to a streaming request should say, if a provider is why it fails.

    LiteLLM's own refusals and its advice about a wrong request stay in its words.
    """
    seen = sighting.current()
    if seen is None or not _is_a_providers(error) or not _streams(seen.route, request_data):
        return
    failure = failure_of(error)
    if failure.status == RATE_LIMITED or failure.status >= FIRST_SERVER_ERROR:
        seen.answer = failure
        seen.retry_after = failure.retry_after


def _is_a_providers(error: Exception) -> bool:
    """Tell whether a provider has failed: as LiteLLM maps it, or as its client raised it (`/v1/messages`, 1.80)."""
    raised = any(kind.__name__ == "BaseLLMException" for kind in type(error).__mro__)
    return raised or bool(getattr(error, "llm_provider", None))


def _streams(route: str, request_data: Mapping[str, Any]) -> bool:
    return bool(request_data.get("stream")) or route.endswith("_stream")
