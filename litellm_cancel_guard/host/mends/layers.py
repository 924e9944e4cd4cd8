"""The guard's stream without LiteLLM's layer around it, which names the guardrail in what a guardrail raises.

LiteLLM puts one around the stream of each callback (1.83 - 1.110, proxy/utils.py
`ProxyLogging._wrap_streaming_iterator_with_enrichment`), from 1.103 on with a second inside of it: two calls more for
each chunk, and what an inner guardrail raises bears the mark of the callback that handed it on. The guard is no
guardrail, and closes what it reads. Those of all others stay.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from litellm_cancel_guard.host.grafting import NotFoundError
from litellm_cancel_guard.host.mends.found import class_with

if TYPE_CHECKING:
    from collections.abc import Callable

    from litellm_cancel_guard.host.grafting import Touch
    from litellm_cancel_guard.settings import Settings

_NAME = "_wrap_streaming_iterator_with_enrichment"
# Of a callback's class: its streams are the guard's own.
_MARK = "cancel_guard_needs_no_layer"


def mend(_settings: Settings, touch: Touch) -> bool:
    """Leave the layer out around the guard's own callbacks; up to 1.82 there is none.

    Raises:
        NotFoundError: LiteLLM makes it in a way that is not known.
    """
    owner = class_with("proxy.utils", "ProxyLogging", _NAME)
    if owner is None:
        return False
    _leave_out(owner, touch)
    return True


def _leave_out(owner: Any, touch: Touch) -> None:
    touch.replace(owner, _NAME, _bare_stream(owner), _is_ours)


def _bare_stream(owner: Any) -> Callable[..., Any]:
    original = inspect.getattr_static(owner, _NAME)
    if not isinstance(original, staticmethod) or not inspect.isasyncgenfunction(original.__func__):
        raise NotFoundError(f"ProxyLogging.{_NAME} is no generator of its own")
    takes = tuple(inspect.signature(original.__func__).parameters)
    if takes == ("callback", "gen"):
        return _as_made
    if takes[:3] == ("callback", "response", "hook"):
        return _as_hooked
    raise NotFoundError(f"ProxyLogging.{_NAME} takes {', '.join(takes)}")


def _as_made(_original: Any, _callback: Any, gen: Any) -> Any:
    return gen


def _as_hooked(original: Any, callback: Any, response: Any, hook: Any, *args: Any, **kwargs: Any) -> Any:
    made = hook(response=response)
    # What is the provider's own is not the guard's to be closed.
    return original(callback, response, hook, *args, **kwargs) if made is response else made


def _is_ours(callback: Any, *_: Any, **__: Any) -> bool:
    return getattr(type(callback), _MARK, False) is True
