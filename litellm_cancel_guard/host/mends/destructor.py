"""A stream that is destroyed in a garbage collection does not take the worker with it.

`CustomStreamWrapper.__del__` sets two context variables, for LiteLLM's logs alone (1.103 - 1.109,
litellm_core_utils/streaming_handler.py). Where a collection begins inside `ContextVar.set`, setting one frees what is
being read there: the interpreter crashes (python/cpython#148891). Seen once in some ten thousand failing streams on
1.109.1 and Python 3.11.7: the worker ends with SIGSEGV, and every request in flight with it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from litellm_cancel_guard.host.mends.found import class_with

if TYPE_CHECKING:
    from litellm_cancel_guard.host.grafting import Touch
    from litellm_cancel_guard.settings import Settings

_ALL_IT_DOES = ("_restore_consumer_correlation_context",)


def mend(_settings: Settings, touch: Touch) -> bool:
    """Take the destructor away, if that is all it does: the task that had those variables ends without it as well."""
    wrapper = class_with("litellm_core_utils.streaming_handler", "CustomStreamWrapper", "__del__")
    if wrapper is None:
        return False
    code = getattr(vars(wrapper).get("__del__"), "__code__", None)
    if getattr(code, "co_names", ()) != _ALL_IT_DOES:
        return False
    touch.remove(wrapper, "__del__")
    return True
