"""Whatever a gauge asks of Redis, once each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from litellm_cancel_guard.lease.lease import Lease
from tests.gauge.stores import GAUGE

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from litellm_cancel_guard.gauge.redis import RedisGauge

A, B = Lease(GAUGE, "a"), Lease("api_key:b", "b")

STEPS: dict[str, Callable[[RedisGauge], Awaitable[object]]] = {
    "acquire": lambda gauge: gauge.acquire(A, 1),
    "refused": lambda gauge: gauge.acquire(Lease(GAUGE, "another"), 1),
    "release": lambda gauge: gauge.release(A),
    "renew": lambda gauge: gauge.renew([A, B]),
    "hold": lambda gauge: gauge.hold([(A, 1), (Lease(GAUGE, "another"), 1)]),
    "count": lambda gauge: gauge.count(GAUGE),
    "slots": lambda gauge: gauge.slots(GAUGE),
}
