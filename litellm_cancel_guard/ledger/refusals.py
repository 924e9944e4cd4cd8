"""Whom this worker has refused, and because of whom; see `lease.holders`."""

from __future__ import annotations

import time
from collections import deque
from typing import TYPE_CHECKING

from litellm_cancel_guard.lease.holders import MOST_IN_THE_WAY, MOST_REFUSALS, REFUSALS_KEPT_SECONDS, Refusal, shortened
from litellm_cancel_guard.lease.keyname import key_of
from litellm_cancel_guard.lease.records import HASH_DIGITS

if TYPE_CHECKING:
    from litellm_cancel_guard.lease.holders import About
    from litellm_cancel_guard.lease.lease import Admission


class Refusals:
    """The last refusals of this worker, forgotten after a quarter of an hour."""

    def __init__(self) -> None:
        self._last: deque[Refusal] = deque(maxlen=MOST_REFUSALS)

    def note(self, about: About, gauge: str, limit: int, refused: Admission) -> None:
        """Note that a request was given no slot of *gauge*, unless it has no call id."""
        if call_id := shortened(about[1]):
            key, in_the_way = key_of(gauge)[:HASH_DIGITS], refused.holders[:MOST_IN_THE_WAY]
            self._last.append(Refusal(call_id, time.time(), key, limit, refused.in_flight, in_the_way))

    def kept(self) -> tuple[Refusal, ...]:
        """Return those that are not forgotten."""
        since = time.time() - REFUSALS_KEPT_SECONDS
        return tuple(refusal for refusal in self._last if refusal.at >= since)
