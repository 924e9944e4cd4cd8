"""Anthropic's in-band errors: a `rate_limit_error` is a 429 and an `overloaded_error` a 529, not a 500.

LiteLLM gives each of them 500 (1.80 - 1.109, llms/anthropic/chat/handler.py `chunk_parser`): "it looks like Anthropic
API does not return a status code in the chunk error". The type is the status. Of an error in OpenAI's protocol, which
gateways send inside of Anthropic's, it makes an empty chunk (1.83 - 1.110).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from litellm_cancel_guard.host.called import Meant
from litellm_cancel_guard.host.mends.found import class_with
from litellm_cancel_guard.host.taken_over import as_taken_over
from litellm_cancel_guard.terminal.failure import ProviderStreamError, failure_in

if TYPE_CHECKING:
    from litellm_cancel_guard.host.grafting import Touch
    from litellm_cancel_guard.settings import Settings


def mend(_settings: Settings, touch: Touch) -> bool:
    """Mend the parser of Anthropic's events."""
    iterator = class_with("llms.anthropic.chat.handler", "ModelResponseIterator", "chunk_parser")
    if iterator is None:
        return False

    def chunk_parser(original: Any, self: Any, chunk: Any, *args: Any, **kwargs: Any) -> Any:
        failure = failure_in(chunk)
        if failure is None:
            return original(self, chunk, *args, **kwargs)
        from litellm.llms.anthropic.common_utils import AnthropicError

        told = AnthropicError(status_code=as_taken_over(failure.status), message=failure.message)
        raise Meant(told) from ProviderStreamError(failure)

    touch.replace(iterator, "chunk_parser", chunk_parser, _may_fail)
    return True


def _may_fail(_parser: Any, chunk: Any, *_: Any, **__: Any) -> bool:
    return isinstance(chunk, dict) and (chunk.get("type") == "error" or bool(chunk.get("error")))
