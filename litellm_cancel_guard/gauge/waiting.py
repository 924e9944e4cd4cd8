"""Who waits for a slot, where one process knows all of it: the same order as that of the line in Redis."""

from __future__ import annotations

from bisect import insort

from litellm_cancel_guard.gauge import line
from litellm_cancel_guard.lease.lease import REST


class Waiting:
    """Ids of waiters by class: first come first served within a class, and the classes in turn."""

    def __init__(self) -> None:
        # The first class is next, and then behind all others; one that comes anew, or again, begins behind them.
        self._classes: dict[str, list[tuple[str, str]]] = {}
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
        if of not in self._classes and len(self._classes) >= line.MOST_CLASSES:
            of = REST
        if not place:
            self._last += 1
            place = f"{self._last:017d}"
        self._places[name] = of, place
        insort(self._classes.setdefault(of, []), (place, name))
        return place

    def leave(self, name: str) -> None:
        """Have *name* wait no more, if it did."""
        of, place = self._places.pop(name, ("", ""))
        if of:
            others = self._classes[of]
            others.remove((place, name))
            if not others:
                del self._classes[of]

    def seen(self) -> line.Waits:
        """Return who waits, for an operator."""
        of = next(iter(self._classes), None)
        if of is None:
            return line.NOBODY
        return line.Waits(len(self), len(self._classes), self._classes[of][0][1], of)

    def next(self) -> str | None:
        """Return who is next, who waits no more; None where nobody does."""
        of = next(iter(self._classes), None)
        if of is None:
            return None
        name = self._classes[of][0][1]
        self._classes[of] = self._classes.pop(of)
        self.leave(name)
        return name
