"""Retry-After on an answer that is an error before its stream has begun.

LiteLLM makes that answer itself, from the stream's first frame, with the headers it had before the provider was asked
(1.80 - 1.109, proxy/common_request_processing.py `create_response`): no hook can add to them.
"""

from __future__ import annotations

import math
import sys
from typing import TYPE_CHECKING, Any

from litellm_cancel_guard.terminal import sighting
from litellm_cancel_guard.terminal.wording import seconds

if TYPE_CHECKING:
    from litellm_cancel_guard.host.grafting import Touch
    from litellm_cancel_guard.settings import Settings

_MODULES = ("litellm.proxy.common_request_processing", "litellm.proxy.anthropic_endpoints.endpoints")
_FIRST_ERROR = 400
_NAME = "retry-after"


def mend(_settings: Settings, touch: Touch) -> bool:
    """Wrap `create_response` wherever it is called by its global name."""
    module = sys.modules.get(_MODULES[0])
    original = getattr(module, "create_response", None)
    if original is None:
        return False

    async def create_response(original: Any, *args: Any, **kwargs: Any) -> Any:
        answer = await original(*args, **kwargs)
        seen = sighting.current()
        if seen is not None and answer.status_code >= _FIRST_ERROR:
            name_delay(answer.headers, seen.retry_after)
            if seen.final:
                # Read by the official SDKs of OpenAI and Anthropic (openai 1 - 3, anthropic 0.18 - 2, _base_client.py).
                answer.headers["x-should-retry"] = "false"
        return answer

    for name in _MODULES:
        holder = sys.modules.get(name)
        if getattr(holder, "create_response", None) is original:
            touch.replace(holder, "create_response", create_response)
    return True


def name_delay(headers: Any, delay: float | None) -> None:
    """Name *delay* in an answer's *headers*, in whole seconds: Codex ends its session at a 429 with half a one (0.171).

    What is named already stays, but for its fraction.
    """
    named = headers.get(_NAME)
    if named is None or seconds(named) is None:
        named = delay
    if named is not None and (told := seconds(named)) is not None:
        headers[_NAME] = str(math.ceil(told))
