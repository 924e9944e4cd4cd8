"""What ended requests add to the tokens of the minute, sent for many of them at a time.

Up to 1.93 one command of LiteLLM's counts a slot down and the tokens up. The guard gives the slot back at once, by a
command of its own, and would make two of it; sent together, the tokens cost next to nothing, on every version.
"""

from __future__ import annotations

import asyncio
from contextvars import Context, ContextVar
from typing import TYPE_CHECKING, Any

from litellm_cancel_guard.aio.completion import Work, begin
from litellm_cancel_guard.gauge.nodes import crosses_hash_slots
from litellm_cancel_guard.host.grafting import NotFoundError
from litellm_cancel_guard.host.limiter.increments import Sums, by_hash_tag, can_be_summed, counts_slots
from litellm_cancel_guard.redaction.records import log

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from litellm_cancel_guard.host.grafting import Touch


_INCREMENT = "async_increment_tokens_with_ttl_preservation"
# Where a worker ends few requests in that time, this is a round trip more for each of them. A limit of tokens per
# minute sees them that much later, beside LiteLLM's log events, which come when the worker has time for them.
_GATHERED_SECONDS = 0.2

_in_log_event: ContextVar[bool] = ContextVar("litellm_cancel_guard_in_log_event", default=False)


def gather(limiter: Any, touch: Touch) -> None:
    """Have *limiter* count the tokens of successes together (F6, F15).

    Raises:
        NotFoundError: it counts them in another way.
    """
    send: Callable[..., Awaitable[Any]] | None = getattr(limiter, _INCREMENT, None)
    if send is None:
        raise NotFoundError(f"the limiter has no {_INCREMENT}")
    counts = TokenCounts(send)

    async def increment(original: Any, *args: Any, **kwargs: Any) -> Any:
        operations: Any = kwargs.get("pipeline_operations", args[0] if args else None)
        # What else is said of them would be lost with the call, and with it, where LiteLLM needs it, every token.
        known = len(args) + len(kwargs) - ("parent_otel_span" in kwargs) == 1 and isinstance(operations, list | tuple)
        if not known or not _in_log_event.get() or any(map(counts_slots, operations)):
            return await original(*args, **kwargs)
        if not all(map(can_be_summed, operations)):
            return await original(*args, **kwargs)
        counts.add(operations)
        return None

    async def log_event(original: Any, *args: Any, **kwargs: Any) -> Any:
        token = _in_log_event.set(True)
        try:
            return await original(*args, **kwargs)
        finally:
            _in_log_event.reset(token)

    touch.replace(limiter, _INCREMENT, increment)
    touch.replace(limiter, "async_log_success_event", log_event)


def send_apart_where_asked(limiter: Any, touch: Touch) -> None:
    """Have *limiter* count by one script for each hash tag once Redis has refused the keys of several in one.

    A plain client may speak to a cluster of one shard, or behind a single address. LiteLLM groups the keys of a script
    for a cluster's client, and from 1.106 where `force_redis_hash_tag_grouping` says so (1.80 - 1.110,
    parallel_request_limiter_v3.py `_group_keys_by_hash_tag`). Refused, it increments each key and sets its TTL anew:
    the tokens of a busy key would never leave their minute. A request of one tag would not come to that alone.

    Raises:
        NotFoundError: it has no such script.
    """
    apart = False

    async def execute_apart(original: Any, pipeline_operations: Any) -> None:
        nonlocal apart
        if not apart:
            try:
                await original(pipeline_operations)
            except Exception as refusal:
                if not crosses_hash_slots(refusal):
                    raise
                apart = True
            else:
                return
        for operations in by_hash_tag(pipeline_operations):
            await original(operations)

    touch.replace(limiter, "_execute_token_increment_script", execute_apart)


class TokenCounts:
    """Increments of the same key, summed and sent together.

    Args:
        send: LiteLLM's ``async_increment_tokens_with_ttl_preservation``.
    """

    def __init__(self, send: Callable[..., Awaitable[Any]]) -> None:
        self._send = send
        self._sums = Sums()
        self._gathering: Work[None] | None = None

    def add(self, operations: Iterable[Any]) -> None:
        """Have *operations* sent within 200 ms, added to what other requests count meanwhile."""
        self._sums.add(operations)
        # A task that is cancelled before its first step leaves its sums: made only for the first of them, no other task
        # would come, and this worker would count no token any more.
        if self._sums and (self._gathering is None or self._gathering.task.done()):
            # Not in the request's context: there LiteLLM 1.109 keeps a batch of commands (active_post_call_redis_batch)
            # that goes out with the end of the request, and what is added to it later never does.
            self._gathering = Context().run(begin, self._send_soon)

    async def _send_soon(self) -> None:
        try:
            await asyncio.sleep(_GATHERED_SECONDS)
        finally:
            # An event loop that ends cancels every task once and waits for it: not sent now, they would never be.
            self._gathering = None
            await self._send_all(self._sums.take())

    async def _send_all(self, gathered: list[dict[str, Any]]) -> None:
        try:
            await self._send(pipeline_operations=gathered)
        except Exception:
            log.exception("cancel_guard: LiteLLM could not count the tokens of %d counters", len(gathered))
