"""A stream that is destroyed in a garbage collection does not take the worker with it.

`CustomStreamWrapper.__del__` sets two context variables, for LiteLLM's logs alone (1.103 - 1.109,
litellm_core_utils/streaming_handler.py). Where a collection begins inside `ContextVar.set`, setting one frees what is
being read there: the interpreter crashes (python/cpython#148891). Seen once in some ten thousand failing streams on
1.109.1 and Python 3.11.7: the worker ends with SIGSEGV, and every request in flight with it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from litellm_cancel_guard.host.mends.found import class_with

if TYPE_CHECKING:
    from litellm_cancel_guard.host.grafting import Touch
    from litellm_cancel_guard.settings import Settings

_RESTORES = "_restore_consumer_correlation_context"
# It looks up a method of the stream's logging object by one of two names, and logs at most (1.103 - 1.110).
_AND_USES = {"getattr", "Exception", "verbose_logger", "debug", "logging_obj"}
_AND_USES |= {"_restore_correlation_context", "_restore_correlation_context_if_unclaimed"}


def mend(_settings: Settings, touch: Touch) -> bool:
    """Take the destructor away, if that is all it does: the task that had those variables ends without it as well."""
    wrapper = class_with("litellm_core_utils.streaming_handler", "CustomStreamWrapper", "__del__")
    if wrapper is None:
        return False
    # What it calls may come to do more some day: without it, a connection would stay open that it closes.
    if _named_in(wrapper, "__del__") != {_RESTORES} or not _named_in(wrapper, _RESTORES) <= _AND_USES:
        return False
    touch.remove(wrapper, "__del__")
    return True


def _named_in(wrapper: Any, name: str) -> set[str]:
    """Return all that the method *name* speaks of, in its code or by its text; `?`: that can't be seen."""
    code = getattr(vars(wrapper).get(name), "__code__", None)
    if code is None:
        return {"?"}
    texts = (text for text in code.co_consts if isinstance(text, str) and text.isidentifier())
    return {*code.co_names, *code.co_freevars, *texts}
