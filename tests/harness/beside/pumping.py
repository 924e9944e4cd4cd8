"""A callback of an operator's own that reads streams in a task of its own, as LiteLLM's Aim guardrail does."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from litellm.integrations.custom_logger import CustomLogger

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

# Nobody ends them when the client leaves.
_pumps: list[asyncio.Task[None]] = []


class Pumping(CustomLogger):
    async def async_post_call_streaming_iterator_hook(
        self, user_api_key_dict: Any, response: Any, request_data: Any
    ) -> AsyncIterator[Any]:
        read: asyncio.Queue[Any] = asyncio.Queue()

        async def pump() -> None:
            try:
                async for chunk in response:
                    await read.put(chunk)
            finally:
                await read.put(None)

        _pumps.append(asyncio.create_task(pump()))
        while (chunk := await read.get()) is not None:
            yield chunk


pumping = Pumping()
