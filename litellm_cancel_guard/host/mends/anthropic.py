"""Anthropic's in-band errors: a `rate_limit_error` is a 429 and an `overloaded_error` a 529, not a 500.

LiteLLM gives each of them 500 (1.80 - 1.109, llms/anthropic/chat/handler.py `chunk_parser`): "it looks like Anthropic
API does not return a status code in the chunk error". The type is the status.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from litellm_cancel_guard.host.mends.found import class_with
from litellm_cancel_guard.terminal.failure import ProviderStreamError, failure_in

if TYPE_CHECKING:
    from collections.abc import Mapping

    from litellm_cancel_guard.host.grafting import Touch
    from litellm_cancel_guard.settings import Settings


def mend(_settings: Settings, touch: Touch) -> bool:
    """Mend the parser of Anthropic's events."""
    iterator = class_with("llms.anthropic.chat.handler", "ModelResponseIterator", "chunk_parser")
    if iterator is None:
        return False
    original = iterator.chunk_parser

    @functools.wraps(original)
    def chunk_parser(self: Any, chunk: Any, *args: Any, **kwargs: Any) -> Any:
        failure = failure_in(chunk) if isinstance(chunk, dict) and _is_error(chunk) else None
        if failure is None:
            return original(self, chunk, *args, **kwargs)
        from litellm.llms.anthropic.common_utils import AnthropicError

        raise AnthropicError(status_code=failure.status, message=failure.message) from ProviderStreamError(failure)

    touch.put(iterator, "chunk_parser", chunk_parser)
    return True


def _is_error(chunk: Mapping[str, Any]) -> bool:
    """Tell whether an event is an error, also in OpenAI's protocol, of which LiteLLM makes an empty chunk."""
    return chunk.get("type") == "error" or bool(chunk.get("error"))
