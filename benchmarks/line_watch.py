"""What becomes of the slots of one key, from what Redis says that it carries out (MONITOR)."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from litellm_cancel_guard.gauge.scripts import load_lined

if TYPE_CHECKING:
    from tests.harness.keys import Key

_OVER = "benchmark-over"
# They name ids of waiters, too, and hand slots over to them.
_LOOKS = {load_lined(layout, "look").sha for layout in ("slots", "counted")}


@dataclass
class Turnover:
    """All times are Redis' own, in seconds.

    Attributes:
        counts: when the number of slots held changed, and to what.
        released: when each slot was given back, in order.
        admitted: when the worker of each request was told that it holds one, in order.
        commands: what was sent to Redis, by its name; what scripts call is not among it.
    """

    counts: list[tuple[float, int]] = field(default_factory=list)
    released: list[float] = field(default_factory=list)
    admitted: list[float] = field(default_factory=list)
    commands: Counter[str] = field(default_factory=Counter)

    def held(self) -> float:
        """Return how many slots were held over time, from a second after the first was until the last admission."""
        since, until = self.counts[0][0] + 1, self.admitted[-1]
        parts = [(min(end, until) - max(begin, since), count) for (begin, count), (end, _) in pairwise(self.counts)]
        return sum(seconds * count for seconds, count in parts if seconds > 0) / (until - since)

    def hand_overs(self, cap: int) -> list[float]:
        """Return the seconds from each release to the admission of the one that has that slot next."""
        pairs = zip(self.released, self.admitted[cap:], strict=False)
        return [admitted - released for released, admitted in pairs]


class Watch(threading.Thread):
    """Reads what Redis carries out from `start` until `stop`."""

    def __init__(self, store: Any, key: Key) -> None:
        super().__init__(daemon=True)
        self._store = store
        begins = f"{{api_key:{key.name}}}:"
        self._slots = {f"{begins}max_parallel_requests", f"{begins}cancel_guard:slots"}
        self._begun = threading.Event()
        self._held: set[str] = set()
        self._admitted: set[str] = set()
        self.found = Turnover()

    def start(self) -> None:
        super().start()
        self._begun.wait()

    def stop(self) -> Turnover:
        self._store.echo(_OVER)
        self.join()
        return self.found

    def run(self) -> None:
        with self._store.monitor() as monitor:
            self._begun.set()
            asked: list[str] = []
            at = 0.0
            while True:
                said = monitor.next_command()
                words = said["command"].split(" ")
                if said["client_type"] != "lua":
                    asked, at = words, said["time"]
                    if words[-1] == _OVER:
                        return
                    self.found.commands[words[0].upper()] += 1
                elif words[0].upper() in ("ZADD", "ZREM") and words[1] in self._slots:
                    self._note(words[0].upper(), words[-1], asked, at)

    def _note(self, command: str, slot: str, asked: list[str], at: float) -> None:
        if command == "ZREM":
            if slot in self._held:
                self._held.remove(slot)
                self.found.released.append(at)
        else:
            self._held.add(slot)
            if slot in asked and slot not in self._admitted and asked[1] not in _LOOKS:
                self._admitted.add(slot)
                self.found.admitted.append(at)
        self.found.counts.append((at, len(self._held)))
