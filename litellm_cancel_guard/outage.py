"""Whether Redis is asked at all: from its first silence to the first beat that it answers, nothing waits for it."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING, TypeVar

from litellm_cancel_guard.gauge import GaugeUnavailableError
from litellm_cancel_guard.observer import Observer

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

T = TypeVar("T")

log = logging.getLogger("LiteLLM Proxy")

_MEANWHILE = {
    "local": "enforces each cap on the slots it holds itself",
    "open": "admits every request",
    "closed": "answers 503 to the requests of keys with a cap",
}


async def asked_twice(call: Callable[[], Awaitable[T]], patience: float) -> T:
    """Do what *call* does, and again if its failure says nothing about Redis; every call to a gauge may be repeated.

    Failed within half of *patience* seconds, a connection was closed by Redis or something in between. Failed long
    after them, the event loop stood still, and the answer was there before the time was up.

    Raises:
        GaugeUnavailableError: it failed again, or by a silence that is Redis' own.
    """
    started = time.monotonic()
    try:
        return await call()
    except GaugeUnavailableError:
        if patience / 2 < time.monotonic() - started and not stood_still(started + patience, patience):
            raise
        return await call()


def stood_still(deadline: float, patience: float) -> bool:
    """Tell whether *deadline*, of the monotonic clock, was missed by so much that only the event loop is to blame."""
    return time.monotonic() - deadline > patience / 4


class Outage:
    """One per worker. Only the heartbeat asks Redis during an outage, once a second, and so ends it.

    What it costs: a frozen Redis delays the requests that were asking when it froze, by ``redis_timeout`` seconds
    each, and none that comes later. The log has one line for its beginning and one for its end.

    Attributes:
        on: whether there is one now.
        gauge: the one that could not be asked, for the heartbeat to ask again.
    """

    def __init__(self, on_redis_error: str) -> None:
        self.on = False
        self.gauge = ""
        self.observer = Observer()
        self._meanwhile = _MEANWHILE[on_redis_error]
        self._changed: set[asyncio.Future[None]] = set()
        self._when_begun: Callable[[], None] = lambda: None

    def choose(self, on_redis_error: str) -> None:
        """Say of the next outage what the operator has chosen since."""
        self._meanwhile = _MEANWHILE[on_redis_error]

    def when_begun(self, act: Callable[[], None]) -> None:
        """Have *act* called whenever one begins: the heartbeat is to beat faster."""
        self._when_begun = act

    def begin(self, gauge: str, why: object) -> None:
        """Note that Redis did not answer about *gauge*."""
        if self.on:
            return
        self.on, self.gauge = True, gauge
        log.warning(
            "cancel_guard: cannot count slots in Redis (%s); until it answers, this worker %s", why, self._meanwhile
        )
        self._tell()
        self._when_begun()

    def end(self) -> None:
        """Note that Redis answers, and has every slot that is held here."""
        if not self.on:
            return
        self.on = False
        log.warning("cancel_guard: Redis answers again; slots are counted there")
        self._tell()

    async def end_of_it(self) -> None:
        """Wait until Redis answers again; return at once if it does."""
        while self.on:
            changed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._changed.add(changed)
            try:
                await changed
            finally:
                self._changed.discard(changed)

    def _tell(self) -> None:
        self.observer.degraded(self.on)
        for changed in self._changed:
            if not changed.done():
                changed.set_result(None)
