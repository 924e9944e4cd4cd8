"""Whether LiteLLM is told to answer 503 while its limits can't be verified (F12): the operator means the cap, too.

The guard takes the cap out of what LiteLLM verifies: a key with no other limit would be admitted in an outage, by every
worker up to its cap.
"""

from __future__ import annotations

from typing import Any

from pydantic import TypeAdapter, ValidationError

from litellm_cancel_guard.host import facts
from litellm_cancel_guard.host.setup_files import LiteLLM

FAILS_CLOSED = "fail_closed_rate_limit_enforcement"

_FLAG: TypeAdapter[bool | None] = TypeAdapter(bool | None)


def fails_closed(limiter: Any) -> bool:
    """Tell what the running *limiter* goes by."""
    resolve = getattr(limiter, "_fail_closed_resolver", None)
    return resolve is not None and resolve() is True


def would_fail_closed(general_settings: Any) -> bool:
    """Tell what the installed LiteLLM would make of a config's *general_settings*."""
    if (LiteLLM.installed().release or ()) < facts.FAILS_CLOSED_SINCE or not isinstance(general_settings, dict):
        return False
    try:
        return _FLAG.validate_python(general_settings.get(FAILS_CLOSED)) is True
    except ValidationError:
        return False
