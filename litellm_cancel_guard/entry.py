"""What ``config.yaml`` names. No state but the instance; it may be asked for by more than one road."""

from __future__ import annotations

from typing import Any

from litellm_cancel_guard.guard import _PROXY_CancelGuard
from litellm_cancel_guard.host.callback_name import misnamed

__all__ = ["handler"]

handler = _PROXY_CancelGuard()


def __getattr__(name: str) -> Any:
    return misnamed(name, lambda: handler)
