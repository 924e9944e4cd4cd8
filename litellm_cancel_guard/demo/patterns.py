"""What the clients of the demo do."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import httpx
from redis.exceptions import ResponseError

from litellm_cancel_guard.demo.children import DemoError
from litellm_cancel_guard.demo.proxy import CUT, MODEL, Proxy, ask, gauge_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from redis.asyncio import Redis

_SETTLED_SECONDS = 0.5
_ADMITTED_SECONDS = 10.0
_PATIENCE_SECONDS = 0.5
_WORD = '"word "'


@dataclass(frozen=True, slots=True)
class Turn:
    """How one turn went.

    Attributes:
        story: what happened, in a few words.
        refused: whether the key was over its cap.
        held: slots that Redis showed in the middle of the turn, if it had one.
        left: slots that it shows with nothing in flight any more.
    """

    story: str
    refused: bool
    held: int | None
    left: int


@dataclass(frozen=True, slots=True)
class Cut:
    """What a client was told of an answer whose provider broke off.

    Attributes:
        words: how many it has read.
        error: what it read of an error; None where it was told of none.
        ended: whether it was told that the answer is whole.
    """

    words: int
    error: str | None
    ended: bool


@dataclass(frozen=True, slots=True)
class Client:
    """A client of one proxy, with a key of its own, who also looks into Redis.

    Attributes:
        proxy: the proxy that it asks.
        gauge: the Redis key under which LiteLLM counts its key's requests in flight.
        http: what it asks with.
        redis: where it looks.
    """

    proxy: Proxy
    gauge: str
    http: httpx.AsyncClient
    redis: Redis

    async def ask_twice_and_drop_the_first(self) -> Turn:
        """Stream A, ask the same again as B without streaming, drop A when B has answered: Claude Code's pattern."""
        held = None
        async with self.http.stream("POST", "/v1/messages", json=ask(MODEL, stream=True)) as a:
            refused, story = await self.proxy.refuses(a), "A refused (429)"
            if not refused:
                # Held on to until the turn is over: httpx hangs up as soon as an iterator is collected.
                chunks = a.aiter_raw()
                await anext(chunks)
                held = await self.slots()
                refused = await self.proxy.refuses(await self.http.post("/v1/messages", json=ask(MODEL, stream=False)))
                story = f"A streams, B {'refused (429)' if refused else 'answered'}, A dropped"
        return Turn(story, refused, held, await self._settled())

    async def leave_before_the_first_chunk(self) -> Turn:
        """Ask on a pass-through route for a stream that stays silent, and leave."""
        before = await self.slots()
        asking = asyncio.create_task(self._refused_on_pass_through())
        for _ in range(int(_ADMITTED_SECONDS / 0.02)):
            if asking.done() or await self.slots() > before:
                break
            await asyncio.wait([asking], timeout=0.02)
        await asyncio.wait([asking], timeout=_PATIENCE_SECONDS)
        if asking.done():
            return Turn("refused (429)", await asking, None, await self._settled())
        held = await self.slots()
        asking.cancel()
        await asyncio.wait([asking])
        return Turn("asked, left before the first chunk", refused=False, held=held, left=await self._settled())

    async def read_what_is_cut(self) -> Cut:
        """Read an answer to its end whose provider breaks off in the middle of it."""
        text = ""
        try:
            async with self.http.stream("POST", "/v1/messages", json=ask(CUT, stream=True)) as response:
                async for piece in response.aiter_text():
                    text += piece
        except httpx.TransportError as error:
            return Cut(text.count(_WORD), f"the connection breaks: {error}", ended=False)
        return Cut(text.count(_WORD), _error_in(text), ended="message_stop" in text)

    async def slots(self) -> int:
        """Return the slots in flight as Redis has them, whatever type this LiteLLM keeps them in."""
        try:
            return int(await self.redis.zcard(self.gauge))
        except ResponseError:
            return int(float(await self.redis.get(self.gauge) or 0))

    async def _refused_on_pass_through(self) -> bool:
        async with self.http.stream("POST", "/anthropic/v1/messages", json=ask("silent", stream=True)) as response:
            if await self.proxy.refuses(response):
                return True
            await anext(response.aiter_raw())
            raise DemoError("The silent stream sent something.")

    async def _settled(self) -> int:
        # LiteLLM frees slots after the response as well, in logging callbacks: give each turn the time for that.
        left = await self.slots()
        for _ in range(int(_SETTLED_SECONDS / 0.02)):
            if not left:
                break
            await asyncio.sleep(0.02)
            left = await self.slots()
        return left


def _error_in(text: str) -> str | None:
    for line in text.splitlines():
        if line.startswith(("data:", "{")) and '"error"' in line:
            said = json.loads(line.removeprefix("data:"))
            return str(said["error"].get("message", said["error"]))
    return None


@asynccontextmanager
async def client_of(proxy: Proxy, key: str, redis_url: str) -> AsyncIterator[Client]:
    """Open a client of `proxy` that has `key`."""
    from redis.asyncio import Redis

    async with proxy.client(key) as http, Redis.from_url(redis_url) as redis:
        yield Client(proxy, gauge_of(key), http, redis)
