"""Keys that are refused all the time, told without naming one: no sum over a hundred keys shows the one stuck."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

SECONDS = 300.0
_AT_MOST = 10_000


@dataclass
class _Streak:
    began: float
    last: float


class ShutOut:
    """Which keys this worker has admitted nothing of while it refused them; times on the monotonic clock."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._streaks: dict[str, _Streak] = {}

    def admitted(self, gauge: str) -> None:
        """Note that a request of *gauge* was given a slot."""
        self._streaks.pop(gauge, None)

    def refused(self, gauge: str) -> bool:
        """Note a refusal; return whether they have followed each other for five minutes, with no slot between them.

        Two that lie further apart are no streak: nothing is known of the time between them.
        """
        now = self._now()
        # To its end, so that the one that was refused longest ago is the first to be forgotten.
        streak = self._streaks.pop(gauge, None)
        if streak is None or now - streak.last > SECONDS:
            streak = _Streak(now, now)
        streak.last = now
        self._streaks[gauge] = streak
        if len(self._streaks) > _AT_MOST:
            del self._streaks[next(iter(self._streaks))]
        return now - streak.began >= SECONDS
