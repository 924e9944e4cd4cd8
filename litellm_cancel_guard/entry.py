"""What ``config.yaml`` names. No state but the instance; it may be asked for by more than one road."""

from __future__ import annotations

from litellm_cancel_guard.guard import _PROXY_CancelGuard

__all__ = ["handler"]

handler = _PROXY_CancelGuard()
