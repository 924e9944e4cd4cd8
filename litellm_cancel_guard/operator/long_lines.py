"""One log line for a key whose line is long: those who come when it is full are refused, and no client tells before."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from litellm_cancel_guard.lease.keyname import shown
from litellm_cancel_guard.ledger.observer import Observer
from litellm_cancel_guard.redaction.records import log

if TYPE_CHECKING:
    from collections.abc import Callable

    from litellm_cancel_guard.ledger.observer import Observed

_SECONDS = 600.0
_AT_MOST = 10_000


class LongLines(Observer):
    """Logs where more than half of those wait that may, once for each key and ten minutes."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._told: dict[str, float] = {}

    def waits(self, request: Observed, waiting: int) -> None:  # noqa: D102 - as in Observer
        most = 0 if request.turn is None else request.turn.most
        if 2 * waiting <= most or not self._is_due(request.gauge):
            return
        log.warning(
            "cancel_guard: the line of key %s is long: %d requests wait for its %d slots; once %d do (max_waiting), "
            "those that come are refused",
            shown(request.gauge),
            waiting,
            request.limit,
            most,
        )

    def _is_due(self, gauge: str) -> bool:
        now = self._clock()
        if now - self._told.get(gauge, float("-inf")) < _SECONDS:
            return False
        # To its end, so that the one that was told longest ago is the first to be forgotten.
        self._told.pop(gauge, None)
        self._told[gauge] = now
        if len(self._told) > _AT_MOST:
            del self._told[next(iter(self._told))]
        return True
