"""One log line for each slot whose request neither finished nor failed.

Up to 1.89 LiteLLM kept it, from 1.90 on it gives most of them back itself: the 429s of a kept one have no other trace.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from litellm_cancel_guard.lease.keyname import shown
from litellm_cancel_guard.lease.lease import Ending
from litellm_cancel_guard.lease.routes import UNHOOKED_ROUTES
from litellm_cancel_guard.ledger.observer import Observer
from litellm_cancel_guard.redaction.records import log

if TYPE_CHECKING:
    from collections.abc import Callable

    from litellm_cancel_guard.ledger.observer import Observed


_LINES_PER_MINUTE = 10
_MINUTE = 60.0


class Leaks(Observer):
    """Logs at INFO: a client that hangs up is no fault of the operator's. At most ten lines a minute, then a count.

    A request of an unhooked route (pass-through, a WebSocket, files, audio) ends with its task in any case, so that an
    unfinished one can't be told from a finished one: none of them is logged.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._minute_began = float("-inf")
        self._lines = 0
        self._suppressed = 0

    def gave_back(self, request: Observed, held_for: float) -> None:  # noqa: D102 - as in Observer
        if request.ending not in (Ending.CLIENT_LEFT, Ending.TASK_ENDED) or request.route in UNHOOKED_ROUTES:
            return
        now = self._clock()
        if now - self._minute_began >= _MINUTE:
            self._begin_minute(now)
        self._lines += 1
        if self._lines > _LINES_PER_MINUTE:
            self._suppressed += 1
            return
        log.info(
            "cancel_guard: gave back the slot of an unfinished request: key %s, route %s, %s after %.1f s",
            shown(request.gauge),
            request.route,
            request.ending.value,
            held_for,
        )

    def _begin_minute(self, now: float) -> None:
        if self._suppressed:
            log.info("cancel_guard: gave back %d more such slots, not logged one by one", self._suppressed)
        self._minute_began, self._lines, self._suppressed = now, 0, 0
