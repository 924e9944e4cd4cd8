"""A refusal for concurrency says what is true of a slot, in LiteLLM's own shape and status.

LiteLLM answers with ``retry-after: 60`` and a time at which the limit resets, which are those of a window that has
nothing to do with it (1.80 - 1.109, ``_handle_rate_limit_error``): a client that obeys sleeps a minute for a slot that
comes free in a second (can1357/oh-my-pi#8854).
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from litellm_cancel_guard.host import facts, serving
from litellm_cancel_guard.host.refused import Refused

if TYPE_CHECKING:
    from litellm_cancel_guard.host.grafting import Touch

_TOO_MANY = 429

# Beside LiteLLM's own fields of a status: how many were in flight when the guard refused, and when to ask again.
IN_FLIGHT, RETRY_AFTER = "cancel_guard_in_flight", "cancel_guard_retry_after"

_RESETS_AT = re.compile(r"Limit resets at: [^\"]*")


def tell_the_truth(limiter: Any, touch: Touch) -> None:
    """Amend the 429 that *limiter* raises for a refusal of the guard's.

    Raises:
        NotFoundError: it raises it in another way.
    """

    def handle_rate_limit_error(original: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            return original(*args, **kwargs)
        except Exception as error:
            status = _refusal(kwargs.get("response") or (args[0] if args else None))
            if status is not None:
                _amend(error, status)
            raise

    touch.replace(limiter, "_handle_rate_limit_error", handle_rate_limit_error)


def _refusal(response: Any) -> Any:
    statuses = response.get("statuses", ()) if isinstance(response, dict) else ()
    over = next((status for status in statuses if status["code"] == facts.OVER_LIMIT), None)
    return over if over is not None and IN_FLIGHT in over else None


def _amend(error: Any, status: Any) -> None:
    in_flight, seconds = status[IN_FLIGHT], status[RETRY_AFTER]
    serving.refused(Refused(_TOO_MANY, seconds, facts.CAP, limit=status["current_limit"], in_flight=in_flight))
    says = f"In flight: {in_flight}. A slot comes free when one of them ends. Please try again in {seconds}s."
    for name in ("detail", "message"):
        text = getattr(error, name, None)
        if isinstance(text, str):
            setattr(error, name, _RESETS_AT.sub(says, text))
    headers = getattr(error, "headers", None)
    if isinstance(headers, dict):
        headers["retry-after"] = str(seconds)
        comes_free = datetime.now(timezone.utc) + timedelta(seconds=seconds)
        headers["reset_at"] = comes_free.strftime("%Y-%m-%d %H:%M:%S UTC")
