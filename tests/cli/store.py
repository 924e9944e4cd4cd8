"""A Redis in which slots are taken without a proxy."""

from __future__ import annotations

import asyncio
import hashlib
from typing import TYPE_CHECKING

from litellm_cancel_guard.gauge.layout import counted_layout, slots_layout
from litellm_cancel_guard.gauge.redis import RedisGauge
from litellm_cancel_guard.lease.lease import Lease, Turn

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

    def line_up(self, secret: str, *classes: str, counting: bool) -> str:
        """Take the one slot of the key and have others wait for it, one of each class; return the hash of the key."""
        name = hashlib.sha256(secret.encode()).hexdigest()

        async def wait() -> None:
            client = self.target.client(5)
            gauge = RedisGauge(
                lambda: client, (counted_layout if counting else slots_layout)(), lease_seconds=30, timeout_seconds=5
            )
            for of in ("0" * 16, *classes):
                lease = Lease.new(f"api_key:{name}", "acompletion", Turn(9, of))
                if (await gauge.acquire(lease, 1)).place:
                    # No worker looks after it, and a command takes a second.
                    await client.zincrby(f"{{api_key:{name}}}:cancel_guard:waits", 60, lease.id)
            await client.aclose()

        asyncio.run(wait())
        return name
