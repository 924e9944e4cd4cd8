"""Whether a Redis is there and lets the guard do what it has to: tried, not read from its ACL."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from litellm_cancel_guard.gauge import GaugeCorruptError, GaugeUnavailableError
from litellm_cancel_guard.gauge.layout import counted_layout, slots_layout
from litellm_cancel_guard.gauge.nodes import is_cluster
from litellm_cancel_guard.gauge.redis import RedisGauge
from litellm_cancel_guard.gauge.sending import is_refusal, what_of
from litellm_cancel_guard.lease.lease import Lease, Turn
from litellm_cancel_guard.lease.slotname import worker_name

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from litellm_cancel_guard.gauge.connect import Target
    from litellm_cancel_guard.gauge.layout import Layout

# No key of LiteLLM's has this name; what an interrupted probe leaves lapses a second later, a line in a minute.
_NOBODYS = "api_key:cancel-guard-doctor"
_LEASE_SECONDS = 1.0
_TOLD_WITHIN_SECONDS = 1.0
# What servers that speak as Redis does call themselves in INFO.
_OTHERS = {"valkey_version": "Valkey", "dragonfly_version": "Dragonfly"}


@dataclass(frozen=True)
class Examined:
    """What a probe found.

    Attributes:
        version: the Redis version that the server gives, or ``unknown`` where it gives none.
        product: its own name and version, where it is another one that speaks as Redis does.
        fault: why the guard could not work there; empty if it could.
        unlined: why no request could wait in line there; empty if one could.
        untold: why no worker would be told of a slot that is handed over; empty if it would be.
        channel: how the channels begin on which it would be.
    """

    version: str
    fault: str
    unlined: str = ""
    untold: str = ""
    channel: str = ""
    product: str = ""


def examine(target: Target, *, counting: bool, timeout_seconds: float) -> Examined:
    """Acquire, renew and release a slot in *target*, in the layout of the limiter; then wait in line for one."""
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
        version, product = await _version(client)
        return Examined(version, "", *await _waited(client, gauge, layout), layout.channel_of(), product)
    except (GaugeUnavailableError, GaugeCorruptError) as error:
        if is_refusal(error.__cause__):
            await _tidy(client, gauge, layout, lease)
        return Examined("unknown", str(error))
    finally:
        await client.aclose()


async def _waited(client: Any, gauge: RedisGauge, layout: Layout) -> tuple[str, str]:
    """Return why nobody can wait in line, and why nobody is told; both empty where all is well."""
    holder, waiter = Lease(_NOBODYS, turn=Turn(1)), Lease(_NOBODYS, turn=Turn(1))
    try:
        await gauge.acquire(holder, 1)
        waiter = waiter.at((await gauge.acquire(waiter, 1)).place)
        await gauge.look(_NOBODYS, [waiter.id])
        untold = await _told(client, layout.channel_of(), partial(gauge.release, holder))
        await gauge.acquire(waiter, 1)
        await gauge.release(waiter)
    except (GaugeUnavailableError, GaugeCorruptError) as error:
        if is_refusal(error.__cause__):
            await _tidy(client, gauge, layout, holder, waiter)
        return str(error), ""
    if why := gauge.unlined.why(_NOBODYS):
        await _tidy(client, gauge, layout, holder, waiter)
        return why, ""
    return "", untold


async def _tidy(client: Any, gauge: RedisGauge, layout: Layout, *leases: Lease) -> None:
    """Take back what a script left that stopped halfway for want of a right, perhaps without an expiry."""
    with suppress(Exception):
        for lease in leases:
            await gauge.release(Lease(_NOBODYS, lease.id))
    with suppress(Exception):
        await gauge.forget(_NOBODYS)
        await client.delete(*layout.line_of(_NOBODYS))


async def _told(client: Any, channel: str, hand_over: Callable[[], Awaitable[object]]) -> str:
    """Hand the slot over, and return why this worker was not told of it; empty if it was."""
    pubsub: Any = None
    untold = ""
    try:
        if is_cluster(client):
            await client.initialize()
        pubsub = client.pubsub()
        await pubsub.subscribe(channel + worker_name())
        # Its answer: only then does Redis hear, and say whether it may.
        await pubsub.get_message(timeout=_TOLD_WITHIN_SECONDS)
    except Exception as error:
        untold = what_of(error)
    try:
        await hand_over()
        return untold or await _heard(pubsub)
    finally:
        with suppress(Exception):
            await pubsub.aclose()


async def _heard(pubsub: Any) -> str:
    deadline = time.monotonic() + _TOLD_WITHIN_SECONDS
    try:
        while (left := deadline - time.monotonic()) > 0:
            message = await pubsub.get_message(timeout=left)
            if message is not None and message["type"] == "message":
                return ""
    except Exception as error:
        return what_of(error)
    return f"no message came within {_TOLD_WITHIN_SECONDS:g} s"


async def _version(client: Any) -> tuple[str, str]:
    try:
        said = await client.info("server")
    except Exception:
        # A managed Redis may forbid INFO; the scripts have run, which is what counts.
        return "unknown", ""
    one = said if "redis_version" in said else next(iter(said.values()), {})
    others = (f"{name} {one[said]}" for said, name in _OTHERS.items() if said in one)
    return str(one.get("redis_version", "unknown")), next(others, "")
