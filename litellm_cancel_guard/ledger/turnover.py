"""What this worker remembers of each key's slots: how long they were held, and who was refused and sleeps.

Bounded, whatever comes: a caller who makes up a name for each request, or a new key for each, is forgotten sooner.
Lost with the worker; other workers remember for themselves, and what all know is the age of the slots in flight.
"""

from __future__ import annotations

import time
from collections import OrderedDict, deque
from math import inf
from typing import TYPE_CHECKING, NamedTuple

from litellm_cancel_guard.lease.slotname import read
from litellm_cancel_guard.ledger.estimate import patience, until_free, whole_seconds

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

_MOST_GAUGES = 512
_MOST_CALLERS = 64
_MOST_LASTED = 16

# A caller who does not come back for this long after he should was served elsewhere, or has given up.
_FORGOTTEN_AFTER = 5.0


class _Refused(NamedTuple):
    """A caller who was told to wait: until when, for how long (seconds), and how often in a row by now."""

    until: float
    wait: int
    times: int

    def is_over(self, now: float) -> bool:
        return now > self.until + max(_FORGOTTEN_AFTER, self.wait)


class _Gauge:
    __slots__ = ("lasted", "refused")

    def __init__(self) -> None:
        self.lasted: deque[float] = deque(maxlen=_MOST_LASTED)
        self.refused: dict[int, _Refused] = {}

    def times(self, caller: int, now: float) -> int:
        """Return how often in a row *caller* was refused, if now it is again.

        Of many at once under one name, none was refused oftener than the first: they were not told to be back yet.
        """
        before = self.refused.get(caller)
        if before is None or before.is_over(now):
            return 1
        return before.times + (now >= before.until)

    def ahead(self, caller: int, now: float) -> int:
        """Return how many others were told to come back, and are not to be here yet."""
        return sum(refused.until > now for other, refused in self.refused.items() if other != caller)

    def note(self, caller: int, refused: _Refused, now: float) -> None:
        before = self.refused.pop(caller, None)
        self.refused[caller] = refused if before is None or now >= before.until else before
        if len(self.refused) > _MOST_CALLERS:
            del self.refused[next(iter(self.refused))]


class Turnover:
    """One per worker. A caller is told apart by a number that says nothing of who it is."""

    def __init__(self, clock: Callable[[], float] = time.monotonic, wall: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._wall = wall
        self._gauges: OrderedDict[str, _Gauge] = OrderedDict()
        self._refusals = 0

    def came_back(self, gauge: str, held_for: float) -> None:
        """Remember that a slot of *gauge* was held for so many seconds."""
        self._of(gauge).lasted.append(held_for)

    def admitted(self, gauge: str, caller: int) -> None:
        """Forget that *caller* was refused."""
        known = self._gauges.get(gauge)
        if known is not None and known.refused:
            known.refused.pop(caller, None)

    def refused(
        self, gauge: str, caller: int, holders: Iterable[str], held: int, own: Mapping[str, float] | None = None
    ) -> int:
        """Return the whole seconds after which *caller* should ask again, and remember it.

        Args:
            gauge: what is full.
            caller: who was refused.
            holders: the ids of the slots in flight, as far as they are known.
            held: how many there are.
            own: where they may have waited in line, which their ids don't tell: how old, in seconds, this worker's are.
        """
        known, now = self._of(gauge), self._clock()
        ages = self._ages(holders) if own is None else self._ages_behind_a_line(holders, own, known.lasted)
        free = until_free(ages, max(1, held), known.lasted, known.ahead(caller, now))
        times = known.times(caller, now)
        return self._tell(known, caller, times, max(free, patience(times, held, known.lasted)))

    def _ages(self, holders: Iterable[str]) -> list[float]:
        # On the clock of the worker that took the slot; where it is ahead of ours, the slot is new.
        wall = self._wall()
        return [max(0.0, wall - name.since) for name in map(read, holders) if name is not None]

    def _ages_behind_a_line(
        self, holders: Iterable[str], own: Mapping[str, float], lasted: Iterable[float]
    ) -> list[float]:
        """Return the ages that are known: an id that has more behind it than any slot ever lasted has waited.

        Taken for that old, it would be taken for one that is held for as long again, and callers be sent away for a
        minute from slots of a second.
        """
        longest = max(lasted, default=inf)
        others = self._ages(name for name in holders if name not in own)
        return [*own.values(), *(age for age in others if age <= longest)]

    def unknown(self, gauge: str, caller: int) -> int:
        """Return the same where nobody can tell what is in flight: a second, and more for who keeps coming."""
        known = self._of(gauge)
        times = known.times(caller, self._clock())
        return self._tell(known, caller, times, patience(times, 1, ()))

    def _tell(self, known: _Gauge, caller: int, times: int, wait: float) -> int:
        self._refusals += 1
        told, now = whole_seconds(wait, self._refusals), self._clock()
        known.note(caller, _Refused(now + told, told, times), now)
        return told

    def _of(self, gauge: str) -> _Gauge:
        known = self._gauges.get(gauge)
        if known is None:
            known = self._gauges[gauge] = _Gauge()
            if len(self._gauges) > _MOST_GAUGES:
                self._gauges.popitem(last=False)
        else:
            self._gauges.move_to_end(gauge)
        return known
