"""Whether a Redis is there and lets the guard do what it has to: tried, not read from its ACL."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from litellm_cancel_guard.gauge import GaugeCorruptError, GaugeUnavailableError
from litellm_cancel_guard.gauge.layout import counted_layout, slots_layout
from litellm_cancel_guard.gauge.redis import RedisGauge
from litellm_cancel_guard.lease.lease import Lease

if TYPE_CHECKING:
    from litellm_cancel_guard.gauge.connect import Target

# No key of LiteLLM's has this name; what an interrupted probe leaves lapses a second later.
_NOBODYS = "api_key:cancel-guard-doctor"
_LEASE_SECONDS = 1.0


@dataclass(frozen=True)
class Examined:
    """What a probe found.

    Attributes:
        version: the server's, or ``unknown`` where it does not say.
        fault: why the guard could not work there; empty if it could.
    """

    version: str
    fault: str


def examine(target: Target, *, counting: bool, timeout_seconds: float) -> Examined:
    """Acquire, renew and release a slot in *target*, in the layout of the limiter."""
    return asyncio.run(_examine(target, counting, timeout_seconds))


async def _examine(target: Target, counting: bool, timeout_seconds: float) -> Examined:
    try:
        client = target.client(timeout_seconds)
    except Exception as error:
        return Examined("unknown", str(error))
    prefix = f"{target.namespace}:" if target.namespace else ""
    layout = (counted_layout if counting else slots_layout)(namespaced=lambda key: prefix + key)
    gauge = RedisGauge(lambda: client, layout, lease_seconds=_LEASE_SECONDS, timeout_seconds=timeout_seconds)
    lease = Lease(_NOBODYS)
    try:
        await gauge.acquire(lease, 1)
        await gauge.renew([lease])
        await gauge.release(lease)
        return Examined(await _version(client), "")
    except (GaugeUnavailableError, GaugeCorruptError) as error:
        return Examined("unknown", str(error))
    finally:
        await client.aclose()


async def _version(client: Any) -> str:
    try:
        said = await client.info("server")
    except Exception:
        # A managed Redis may forbid INFO; the scripts have run, which is what counts.
        return "unknown"
    one = said if "redis_version" in said else next(iter(said.values()), {})
    return str(one.get("redis_version", "unknown"))
