"""A Redis in which slots are taken without a proxy."""

from __future__ import annotations

import asyncio
import hashlib
from typing import TYPE_CHECKING

from litellm_cancel_guard.gauge.layout import counted_layout, slots_layout
from litellm_cancel_guard.gauge.redis import RedisGauge
from litellm_cancel_guard.lease.lease import Lease

if TYPE_CHECKING:
    from litellm_cancel_guard.gauge.connect import Target


class Store:
    """A Redis in which slots can be taken."""

    def __init__(self, target: Target) -> None:
        self.target = target

    @property
    def url(self) -> str:
        return str(self.target)

    def hold(self, secret: str, *ids: str, counting: bool, namespace: str = "") -> str:
        """Take slots for the key, as a worker does; return the hash of the key."""
        name = hashlib.sha256(secret.encode()).hexdigest()

        async def take() -> None:
            client = self.target.client(5)
            layout = (counted_layout if counting else slots_layout)(namespaced=lambda key: namespace + key)
            gauge = RedisGauge(lambda: client, layout, lease_seconds=30, timeout_seconds=5)
            for one in ids:
                assert (await gauge.acquire(Lease(f"api_key:{name}", one), 10)).admitted
            await client.aclose()

        asyncio.run(take())
        return name
