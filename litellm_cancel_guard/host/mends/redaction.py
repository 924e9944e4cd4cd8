"""LiteLLM's own redaction, applied to the guard's words as to its own.

For secrets it is there from 1.82 on (_logging.py `_redact_string`; from 1.86 litellm_core_utils/secret_redaction.py),
and from 1.103 on for what only operators may see (`redact_internal_details`). An operator who switches it off
(``LITELLM_DISABLE_REDACT_SECRETS``) does so for LiteLLM's own words: what does not ask is taken where it is there.
"""

from __future__ import annotations

import inspect
from importlib import import_module
from typing import TYPE_CHECKING, Any

from litellm_cancel_guard.redaction import Redaction, use

if TYPE_CHECKING:
    from litellm_cancel_guard.host.grafting import Touch
    from litellm_cancel_guard.settings import Settings

_MODULES = ("litellm_core_utils.secret_redaction", "_logging")
_SECRETS = ("redact_string", "_redact_string")
_INTERNALS = ("redact_internal_details", "redact_internal_details_from_client_message")


_WORDS = "The answer."


def mend(_settings: Settings, touch: Touch) -> bool:
    """Hand over what there is; nothing of LiteLLM's is changed."""
    found = Redaction(_found(_SECRETS), _found(_INTERNALS))
    use(found)
    touch.when_out(lambda: use(Redaction()))
    return found != Redaction()


def _found(names: tuple[str, ...]) -> Any:
    for module in _MODULES:
        try:
            holder = import_module(f"litellm.{module}")
        except ModuleNotFoundError:
            continue
        known = [getattr(holder, name) for name in names if _redacts(getattr(holder, name, None))]
        if known:
            return known[0]
    return None


def _redacts(function: Any) -> bool:
    """Tell whether words come out of *function* as words: a client would read the name of what else does."""
    if not callable(function) or inspect.iscoroutinefunction(function):
        return False
    try:
        return isinstance(function(_WORDS), str)
    except Exception:
        return False
