"""Streams that are held open while something happens to those who carry them."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from tests.harness.routes import ROUTES

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.harness.clients import Caller, OpenStream
    from tests.harness.keys import Key
    from tests.harness.provider.script import Script
    from tests.harness.routes import Route

LEASE_SECONDS = 3.0
REDIS_TIMEOUT_SECONDS = 0.5
SHORT_LEASE = (
    ("CANCEL_GUARD_LEASE_SECONDS", f"{LEASE_SECONDS:g}"),
    ("CANCEL_GUARD_REDIS_TIMEOUT", f"{REDIS_TIMEOUT_SECONDS:g}"),
)


@dataclass
class Held:
    """Streams that stand at their second chunk, all of one run."""

    caller: Caller
    script: Script
    streams: list[OpenStream]

    async def open_at_provider(self) -> int:
        return (await self.caller.provider.counts(self.script.run)).open

    async def finish(self) -> list[bool]:
        """Let the provider go on, and read to the end; whether each stream was whole."""
        await self.caller.provider.release(self.script.run)
        return list(await asyncio.gather(*(_whole(stream) for stream in self.streams)))


async def _whole(stream: OpenStream) -> bool:
    try:
        await asyncio.wait_for(stream.read_until("[DONE]"), 20)
    except Exception:
        return False
    return True


@asynccontextmanager
async def held(caller: Caller, key: Key, count: int, route: Route = ROUTES["chat"]) -> AsyncIterator[Held]:
    """Open so many streams and read two chunks of each; leaving the block hangs up."""
    script = replace(caller.script(), stall="2")
    async with AsyncExitStack() as stack:
        entered = [caller.opened(route, key, script) for _ in range(count)]
        streams = await asyncio.gather(*(stack.enter_async_context(stream) for stream in entered))
        assert [stream.status for stream in streams] == [200] * count
        await asyncio.gather(*(asyncio.wait_for(stream.read_chunks(2), 20) for stream in streams))
        yield Held(caller, script, list(streams))
    await caller.left(script.run)
