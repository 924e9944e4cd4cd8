"""Who waits for a slot, where one process knows all of it: the same order as that of the line in Redis."""

from __future__ import annotations

import itertools
from bisect import insort
from typing import TYPE_CHECKING

from litellm_cancel_guard.gauge import line
from litellm_cancel_guard.lease.lease import REST, turns_of

if TYPE_CHECKING:
    from collections.abc import Iterator


class Waiting:
    """Ids of waiters by class: first come first served within a class, and the classes in turn."""

    def __init__(self) -> None:
        # The first class is next, and then behind all others; one that comes anew, or again, begins behind them. One of
        # several turns in a round has all but one before the others, and stays, empty, up to its own.
        self._classes: dict[str, list[tuple[str, str]]] = {}
        # How many each of those has had before its own turn.
        self._ahead: dict[str, int] = {}
        self._places: dict[str, tuple[str, str]] = {}
        self._last = 0

    def __len__(self) -> int:
        return len(self._places)

    def __contains__(self, name: str) -> bool:
        return name in self._places

    def park(self, name: str, of: str, place: str = "") -> str:
        """Have *name* wait at *place*, or behind all others of its class; return its place."""
        if name in self._places:
            return self._places[name][1]
        if of not in self._classes and len(self._classes) + len(list(self._going_ahead())) >= line.MOST_CLASSES:
            of = REST
        if not place:
            self._last += 1
            place = f"{self._last:017d}"
        self._places[name] = of, place
        insort(self._classes.setdefault(of, []), (place, name))
        if turns_of(of) > 1:
            self._ahead.setdefault(of, 0)
        return place

    def leave(self, name: str) -> None:
        """Have *name* wait no more, if it did."""
        of, place = self._places.pop(name, ("", ""))
        if of:
            others = self._classes[of]
            others.remove((place, name))
            if not others and of not in self._ahead:
                del self._classes[of]

    def seen(self) -> line.Waits:
        """Return who waits, for an operator."""
        of = self._next_class()
        if of is None:
            return line.NOBODY
        return line.Waits(len(self), min(len(self), len(self._classes)), self._classes[of][0][1], of)

    def next(self) -> str | None:
        """Return who is next, who waits no more; None where nobody does."""
        of = self._next_class()
        if of is None:
            self._classes.clear()
            self._ahead.clear()
            return None
        name = self._classes[of][0][1]
        if of in self._going_ahead():
            self._ahead[of] += 1
        else:
            self._have_turn(of)
        self.leave(name)
        return name

    def _have_turn(self, of: str) -> None:
        """Put *of* behind all others; the empty ones before it have had theirs."""
        for other in itertools.takewhile(lambda name: name != of, list(self._classes)):
            del self._classes[other], self._ahead[other]
        self._classes[of] = self._classes.pop(of)
        if self._ahead.pop(of, None) is not None:
            self._ahead[of] = 0

    def _next_class(self) -> str | None:
        """Return who is next: the first who may go ahead, or else the first that is not empty."""
        return next(self._going_ahead(), None) or next((of for of, names in self._classes.items() if names), None)

    def _going_ahead(self) -> Iterator[str]:
        return (of for of, had in self._ahead.items() if had < turns_of(of) - 1 and self._classes[of])
