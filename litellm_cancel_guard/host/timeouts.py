"""The longest that LiteLLM waits for one call to a provider, as it is configured now."""

from __future__ import annotations

import math
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

# What pass-through asks with where nothing else is configured, whatever `request_timeout` is
# (1.80 - 1.110, proxy/pass_through_endpoints/pass_through_endpoints.py).
PASS_THROUGH_SECONDS = 600.0

_OF_A_CALL = ("timeout", "stream_timeout")


def longest_call() -> float:
    """Return in seconds the longest timeout that is configured anywhere: which one a request goes by is not known."""
    return max((value for value in _configured() if _is_time(value)), default=PASS_THROUGH_SECONDS)


def _configured() -> Iterator[Any]:
    yield PASS_THROUGH_SECONDS
    yield getattr(sys.modules.get("litellm"), "request_timeout", None)
    proxy = sys.modules.get("litellm.proxy.proxy_server")
    router = getattr(proxy, "llm_router", None)
    yield from (getattr(router, name, None) for name in _OF_A_CALL)
    for deployment in _list(getattr(router, "model_list", None)):
        params = _dict(_dict(deployment).get("litellm_params"))
        yield from (params.get(name) for name in _OF_A_CALL)
    settings = _dict(getattr(proxy, "general_settings", None))
    yield settings.get("pass_through_request_timeout")
    for endpoint in _list(settings.get("pass_through_endpoints")):
        yield _dict(endpoint).get("timeout")


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _is_time(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
