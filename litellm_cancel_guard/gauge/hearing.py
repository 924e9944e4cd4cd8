"""What this worker is told by Redis: one subscription for all who wait here for a slot.

A message that gets lost costs a second: who waits looks for himself, too.
"""

from __future__ import annotations

import asyncio
from contextvars import Context
from typing import TYPE_CHECKING, Any

from litellm_cancel_guard.gauge.nodes import is_cluster
from litellm_cancel_guard.gauge.sending import text_of, what_of
from litellm_cancel_guard.lease.slotname import worker_name
from litellm_cancel_guard.redaction.records import log

if TYPE_CHECKING:
    from collections.abc import Callable

    Told = Callable[[str], object]

_AGAIN_SECONDS = 1.0
# A connection that something in between has forgotten tells nothing, and no error either: it is asked, and has so long.
_QUIET_SECONDS = 5.0


class Hearing:
    """A subscription that is made anew for as long as the event loop runs.

    Args:
        client: returns LiteLLM's asyncio client for the running event loop; called for every subscription.
        channel_of: returns how the worker's channel begins.
    """

    def __init__(self, client: Callable[[], Any], channel_of: Callable[[], str]) -> None:
        self._client = client
        self._channel_of = channel_of
        self._task: asyncio.Task[None] | None = None
        self._complained = False

    def start(self, told: Told) -> None:
        """Tell *told* of each message from now on, on the running loop, unless that is so already."""
        loop = asyncio.get_running_loop()
        if self._task is None or self._task.done() or self._task.get_loop() is not loop:
            # Not in the context of the request that is the first to wait, which would be kept as long as the worker.
            self._task = Context().run(loop.create_task, self._hear(told))

    async def stop(self) -> None:
        """Hear no more."""
        if self._task is not None and not self._task.done():
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _hear(self, told: Told) -> None:
        while True:
            try:
                await self._subscribed(told)
            except Exception as error:
                if not self._complained:
                    self._complained = True
                    log.warning(
                        "cancel_guard: Redis tells this worker of no slot that is handed to a request in line (%s), "
                        "and each looks once a second. A Redis user needs the right to the channels %s*",
                        what_of(error),
                        self._channel_of(),
                    )
            await asyncio.sleep(_AGAIN_SECONDS)

    async def _subscribed(self, told: Told) -> None:
        client = self._client()
        if is_cluster(client):
            await client.initialize()
        pubsub = client.pubsub()
        try:
            await pubsub.subscribe(self._channel_of() + worker_name())
            quiet = False
            while True:
                message = await pubsub.get_message(ignore_subscribe_messages=False, timeout=_QUIET_SECONDS)
                _raise_cancellation()
                if message is not None:
                    quiet = self._complained = False
                    if message["type"] == "message":
                        told(text_of(message["data"]))
                elif quiet:
                    raise ConnectionError("the subscription is silent")
                else:
                    quiet = True
                    await pubsub.ping()
        finally:
            await pubsub.aclose()


def _raise_cancellation() -> None:
    """Raise a cancellation that redis-py has taken for its own time-out (8.1, `get_message`): the loop's end waits."""
    task: Any = asyncio.current_task()
    if hasattr(task, "cancelling") and task.cancelling():
        raise asyncio.CancelledError
