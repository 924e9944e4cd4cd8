"""A touch for a mend that a test puts in by itself."""

from __future__ import annotations

from litellm_cancel_guard.host.grafting import Touch
from litellm_cancel_guard.lease.graft import Graft


def touch() -> Touch:
    return Touch(Graft("a.mend", "a.mend", "nothing"))
