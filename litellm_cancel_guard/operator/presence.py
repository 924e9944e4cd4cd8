"""This worker as others see it, from its start on, whether it holds a slot or not: its record, and one metric."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from contextvars import Context
from typing import TYPE_CHECKING, Any

import anyio

from litellm_cancel_guard.host import limiter as host
from litellm_cancel_guard.lease.records import Seen
from litellm_cancel_guard.ledger.identity import Identity, guard_version
from litellm_cancel_guard.redaction.records import log

if TYPE_CHECKING:
    from collections.abc import Callable

    from litellm_cancel_guard.gauge.notice import Notice
    from litellm_cancel_guard.host.grafting import Board
    from litellm_cancel_guard.lease.records import Record
    from litellm_cancel_guard.ledger.observer import Observer
    from litellm_cancel_guard.ledger.registry import Registry


class Presence:
    """Written with each beat of its own, beside any request: a heartbeat beats only from the first slot on.

    Args:
        settings: returns those in force.
    """

    def __init__(self, registry: Registry, board: Board, settings: Callable[[], Any]) -> None:
        self._settings = settings
        self._identity = Identity(registry, settings, board.missing, host.litellm_version())
        self._notice: Notice | None = None
        self._changed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    @property
    def record(self) -> Callable[[], Record]:
        """What returns this worker's record, as of now."""
        return self._identity.record

    def begin(self, limiter: Any, observer: Observer) -> None:
        """Say from now on that this worker is there, in the Redis of *limiter*; *observer* is told what it runs."""
        with suppress(host.UnknownLimiterError):
            self._identity.limiter = host.kind_of(host.recognise(limiter))
        self._notice = host.notice_for(limiter, lambda: float(self._settings().redis_timeout))
        self.stop()
        if self._notice is not None:
            self._changed = asyncio.Event()
            self._task = Context().run(asyncio.get_running_loop().create_task, self._go_on(self._notice))
        redis = "no" if self._notice is None else "yes"
        about = {"version": guard_version(), "litellm": host.litellm_version(), "redis": redis}
        observer.introduced({**about, "limiter": self._identity.limiter})

    def hurry(self) -> None:
        """Say it anew: something of it has changed."""
        self._changed.set()

    def stop(self) -> None:
        """Say it no more."""
        if self._task is not None:
            self._task.cancel()
            self._task = None

    async def leave(self) -> None:
        """Say that this worker has ended."""
        self.stop()
        if self._notice is not None:
            await self._notice.remove(self.record().worker)

    async def workers(self) -> list[Seen]:
        """Return all workers in LiteLLM's Redis; this one alone where there is none.

        Raises:
            GaugeUnavailableError: it could not be asked.
        """
        mine = Seen(self.record(), 0.0)
        if self._notice is None:
            return [mine]
        others = [seen for seen in await self._notice.all() if seen.record.worker != mine.record.worker]
        return sorted([*others, mine], key=lambda seen: (str(seen.record.host), str(seen.record.pid)))

    async def _go_on(self, notice: Notice) -> None:
        while True:
            self._changed.clear()
            try:
                await notice.write(self.record())
            except Exception:
                log.exception("cancel_guard: this worker's record could not be made")
            with anyio.move_on_after(float(self._settings().heartbeat_seconds)):
                await self._changed.wait()
