"""Requests that are over but for a server that never says so: they are not renewed, but given back."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from litellm_cancel_guard.gauge.batches import chunks
from litellm_cancel_guard.lease.lease import Ending
from litellm_cancel_guard.ledger.renewals import AT_A_TIME
from litellm_cancel_guard.redaction.records import log

if TYPE_CHECKING:
    from collections.abc import Callable

    from litellm_cancel_guard.ledger.registry import Registry, Request


async def let_lapse(registry: Registry, end: Callable[[Request, Ending], object], lease_seconds: float) -> None:
    """Have *end* end those of *registry* that are over as far as their server tells, and let go of their tasks."""
    holding = 0
    for some in chunks(registry.everyone(), AT_A_TIME):
        # Ended as they are found: one that ends while the loop has its turn is none of them.
        for request in [request for request in some if request.is_over(lease_seconds)]:
            holding += request.ending is None and request.lease is not None
            end(request, Ending.LAPSED)
            registry.abandon(request)
        await asyncio.sleep(0)
    if holding:
        log.warning(
            "cancel_guard: the web server never ended %d requests whose answer is out or whose client is gone; "
            "their slots are given back",
            holding,
        )
