"""Counts in this worker what goes into Redis with its next beat; see `lease.counters`."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from litellm_cancel_guard.lease.lease import Ending
from litellm_cancel_guard.lease.routes import UNHOOKED_ROUTES
from litellm_cancel_guard.ledger.observer import Observer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from litellm_cancel_guard.ledger.observer import Observed


class Tally(Observer):
    """Of an unhooked route nobody can tell whether it finished; see `leaks`."""

    def __init__(self) -> None:
        self._counted: Counter[str] = Counter()

    def acquired(self, request: Observed) -> None:  # noqa: ARG002, D102 - as in Observer
        self._counted["admitted"] += 1

    def refused(self, request: Observed) -> None:  # noqa: ARG002, D102 - as in Observer
        self._counted["refused"] += 1

    def gave_back(self, request: Observed, held_for: float) -> None:  # noqa: ARG002, D102 - as in Observer
        if request.ending is Ending.KILLED:
            self._counted["killed"] += 1
        elif request.ending is Ending.CLIENT_LEFT:
            self._counted["client_left"] += 1
            self._counted["unfinished"] += 1
        elif request.ending is Ending.TASK_ENDED and request.route not in UNHOOKED_ROUTES:
            self._counted["unfinished"] += 1

    def reclaimed(self, slots: int) -> None:  # noqa: D102 - as in Observer
        self._counted["reclaimed"] += slots

    def stream_failed(self, route: str, status: int) -> None:  # noqa: ARG002, D102 - as in Observer
        self._counted["ended_streams"] += 1

    def taken(self) -> dict[str, int]:
        """Return what was counted since it was last asked."""
        counted, self._counted = self._counted, Counter()
        return dict(counted)

    def put_back(self, counted: Mapping[str, int]) -> None:
        """Count once more what did not get into Redis, as far as is known: what got there twice is too much by that."""
        self._counted.update(counted)
