"""The counting limiter (1.80 - 1.93): what ended requests add to the tokens of the minute, sent together.

LiteLLM's count after a success is one command, for a slot and for tokens. The guard gives the slot back at once, by a
command of its own, and would make two of it; sent for many requests at a time the tokens cost next to nothing, and
later versions of LiteLLM gather them as well (1.109, ``active_post_call_redis_batch``).
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

log = logging.getLogger("LiteLLM Proxy")

# LiteLLM's log events come later than that under load; a limit of tokens per minute does not see the difference.
_GATHERED_SECONDS = 0.05


class TokenCounts:
    """Increments of the same key, summed and sent together.

    Args:
        send: LiteLLM's ``async_increment_tokens_with_ttl_preservation``.
    """

    def __init__(self, send: Callable[..., Awaitable[Any]]) -> None:
        self._send = send
        self._sums: dict[tuple[Any, ...], dict[str, Any]] = {}
        self._sending: set[asyncio.Task[None]] = set()

    def add(self, operations: Iterable[dict[str, Any]]) -> None:
        """Have *operations* sent within 50 ms, added to what other requests count meanwhile."""
        first = not self._sums
        for operation in operations:
            ident = (operation["key"], operation["ttl"])
            summed = self._sums.setdefault(ident, {**operation, "increment_value": 0})
            summed["increment_value"] += operation["increment_value"]
        if first and self._sums:
            sending = asyncio.get_running_loop().create_task(self._send_soon())
            self._sending.add(sending)
            sending.add_done_callback(self._sending.discard)

    async def _send_soon(self) -> None:
        try:
            await asyncio.sleep(_GATHERED_SECONDS)
        finally:
            gathered, self._sums = list(self._sums.values()), {}
        try:
            await self._send(pipeline_operations=gathered)
        except Exception:
            log.exception("cancel_guard: LiteLLM could not count the tokens of %d counters", len(gathered))
