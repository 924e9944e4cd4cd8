"""What happened in the lines of a simulation, checked afterwards: who came, who was handed a slot, and who left."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field

from litellm_cancel_guard.lease.lease import turns_of


@dataclass
class Wait:
    """One that waits: its class and place, and how many of each class were handed a slot meanwhile."""

    of: str
    place: str
    others: Counter[str] = field(default_factory=Counter)


@dataclass
class History:
    """Of one line; what must not happen is found when it does.

    A place that was lost and is taken again, by who claims too late, begins anew: the class may have been gone.
    """

    waits: dict[str, Wait] = field(default_factory=dict)
    handed: Counter[str] = field(default_factory=Counter)

    def came(self, name: str, of: str, place: str) -> None:
        """Note that *name* waits at *place*; again, it is the same one."""
        waits = self.waits.setdefault(name, Wait(of, place))
        assert (waits.of, waits.place) == (of, place), f"{name} is at another place than before"

    def left(self, name: str) -> None:
        """Note that *name* waits no more, and was handed nothing."""
        self.waits.pop(name, None)

    def was_handed(self, name: str) -> None:
        """Note that *name* was handed a slot: it was the first of its class, and nobody else is passed over too often.

        While one waits, a class of one turn in a round has one in each round of his own class, and one of several has
        what it may before its own turn, that turn, and what it may before the next.
        """
        mine = self.waits.pop(name)
        self.handed[mine.of] += 1
        for other, wait in self.waits.items():
            assert wait.of != mine.of or mine.place < wait.place, f"{name} overtook {other}"
            wait.others[mine.of] += 1
            rounds = 1 + math.ceil(wait.others[wait.of] / turns_of(wait.of))
            most = rounds * (2 * turns_of(mine.of) - 1)
            assert wait.of == mine.of or wait.others[mine.of] <= most, f"{other} is passed over by {mine.of}: {wait}"
