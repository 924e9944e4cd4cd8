"""The provider's own words, and its Retry-After, in an answer that is an error before any stream exists.

Every route makes its answer of a `ProxyException`, after the failure hook (1.80 - 1.109, proxy/_types.py).
"""

from __future__ import annotations

import functools
import logging
import math
from typing import TYPE_CHECKING, Any

from litellm_cancel_guard.terminal import sighting
from litellm_cancel_guard.terminal.failure import FIRST_SERVER_ERROR
from litellm_cancel_guard.terminal.mends.found import class_with

if TYPE_CHECKING:
    from litellm_cancel_guard.settings import Settings
    from litellm_cancel_guard.terminal.failure import Failure
    from litellm_cancel_guard.terminal.sighting import Sighting

log = logging.getLogger("LiteLLM Proxy")


def mend(_settings: Settings) -> bool:
    """Mend the exception of which LiteLLM makes its answers."""
    answer = class_with("proxy._types", "ProxyException", "to_dict")
    if answer is None:
        return False
    original = answer.__init__

    @functools.wraps(original)
    def init(self: Any, *args: Any, **kwargs: Any) -> None:
        original(self, *args, **kwargs)
        try:
            _say(self, sighting.current())
        except Exception:
            log.exception("cancel_guard: an answer stays in LiteLLM's words")

    answer.__init__ = init
    return True


def _say(answer: Any, seen: Sighting | None) -> None:
    if seen is None or seen.answer is None or not _is_about(str(answer.code), seen.answer):
        return
    answer.message = seen.answer.message
    if seen.retry_after is not None:
        answer.headers.setdefault("retry-after", str(math.ceil(seen.retry_after)))


def _is_about(code: str, failure: Failure) -> bool:
    """Tell whether an answer of that status is the one to the noted failure; LiteLLM has a 500 for many others."""
    return code.isdigit() and (int(code) == failure.status or min(int(code), failure.status) >= FIRST_SERVER_ERROR)
