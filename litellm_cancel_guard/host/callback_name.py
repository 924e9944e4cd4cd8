"""What ``config.yaml`` may have called the guard by, and what it is called."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from litellm_cancel_guard.redaction.records import log

if TYPE_CHECKING:
    from collections.abc import Callable


RIGHT_LINE = "litellm_settings: callbacks: [litellm_cancel_guard.handler]"


def misnamed(name: str, handler: Callable[[], Any]) -> Any:
    """Return the *handler* for a *name* that LiteLLM's loader asks for and that does not exist; the log says so.

    LiteLLM would refuse to start with a traceback, or, up to 1.97, take the class for an instance and never call it
    (proxy/common_utils/callback_utils.py). Which callback is meant is beyond doubt.

    Raises:
        AttributeError: somebody else asks.
    """
    asked_by = sys._getframe(2).f_code.co_name  # noqa: SLF001 - module.__getattr__ is told the name, not the asker
    if name.startswith("_") or asked_by != "get_instance_fn":
        raise AttributeError(f"litellm_cancel_guard has no {name!r}. In config.yaml write `{RIGHT_LINE}`")
    log.error(
        "cancel_guard: config.yaml names litellm_cancel_guard.%s, which does not exist; the guard is used. Write `%s`",
        name,
        RIGHT_LINE,
    )
    return handler()
