"""Faults inside the guard, in the requests of keys whose cap orders one."""

from __future__ import annotations

from contextvars import ContextVar
from typing import Any

from litellm.integrations.custom_logger import CustomLogger

from litellm_cancel_guard.guard import _PROXY_CancelGuard
from litellm_cancel_guard.ledger.ledger import Ledger
from litellm_cancel_guard.worker import Worker

OPENING, ADMITTING = 7, 8

_cap: ContextVar[int | None] = ContextVar("cap", default=None)
_pre_call, _open, _admit = _PROXY_CancelGuard.async_pre_call_hook, Worker.open, Ledger.admit


async def pre_call(self: Any, user_api_key_dict: Any, *args: Any, **kwargs: Any) -> None:
    _cap.set(user_api_key_dict.max_parallel_requests)
    await _pre_call(self, user_api_key_dict, *args, **kwargs)


def opening(self: Any, *args: Any, **kwargs: Any) -> None:
    if _cap.get() == OPENING:
        raise RuntimeError("a fault in the opening")
    _open(self, *args, **kwargs)


async def admitting(self: Any, request: Any, gauge: str, limit: int, *more: Any) -> Any:
    if limit == ADMITTING:
        raise RuntimeError("a fault in the admitting")
    return await _admit(self, request, gauge, limit, *more)


_PROXY_CancelGuard.async_pre_call_hook = pre_call  # type: ignore[method-assign]
Worker.open = opening  # type: ignore[method-assign]
Ledger.admit = admitting  # type: ignore[assignment, method-assign]
callback = CustomLogger()
