"""What Redis says about a key: the second witness, beside the proxy's own answers."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    import redis

    from tests.harness.keys import Key
    from tests.harness.proxy import Proxy


def gauge(client: redis.Redis, key: Key) -> int:
    """LiteLLM's own record of the key's requests in flight, whichever shape its version gives it."""
    store: Any = client
    name = f"{{api_key:{key.name}}}:max_parallel_requests"
    kind = store.type(name)
    if kind == "none":
        return 0
    if kind == "zset":
        return int(store.zcard(name))
    # Gone between the two questions: nothing is held.
    return int(float(store.get(name) or 0))


def keys_of(client: redis.Redis, key: Key) -> list[str]:
    store: Any = client
    return sorted(store.scan_iter(f"*{key.name}*", count=1000))


def lasting(client: redis.Redis, key: Key) -> list[str]:
    """Redis keys of this API key that would never go away by themselves."""
    store: Any = client
    return [name for name in keys_of(client, key) if store.ttl(name) == -1]


async def settled(read: Callable[[], int], wanted: int, within: float = 2) -> int:
    """The value once it is as wanted, or what it still was when the time was up."""
    deadline = time.monotonic() + within
    while True:
        value = read()
        if value == wanted or time.monotonic() > deadline:
            return value
        await asyncio.sleep(0.02)


async def wait_until(
    predicate: Callable[[], bool | Awaitable[bool]], description: str, within: float = 5, every: float = 0.02
) -> None:
    """Poll what has no event to wait for; a failure says what never came true."""
    deadline = time.monotonic() + within
    while True:
        answer = predicate()
        if await answer if inspect.isawaitable(answer) else answer:
            return
        assert time.monotonic() < deadline, f"not within {within:g} s: {description}"
        await asyncio.sleep(every)


async def attached(proxy: Proxy, workers: int) -> None:
    """Wait, and ask, until so many workers of *proxy*, at LITELLM_LOG=INFO, have served a request."""

    async def served() -> bool:
        # One that is being replaced may refuse.
        with contextlib.suppress(OSError):
            await asyncio.to_thread(proxy.ask)
        return len(proxy.attached) >= workers

    await wait_until(served, f"{workers} workers guard", within=120, every=0.2)
