"""A request of one key that was admitted, for those who count."""

from __future__ import annotations

from typing import TYPE_CHECKING

from litellm_cancel_guard.lease.lease import Lease
from litellm_cancel_guard.ledger.registry import Request

if TYPE_CHECKING:
    from litellm_cancel_guard.ledger.registry import Registry

GAUGE = f"api_key:{'ab' * 32}"


def admitted(registry: Registry, route: str = "acompletion") -> Request:
    request = Request(route)
    registry.hold(request, Lease(GAUGE), 4)
    registry.observer.acquired(request)
    return request
