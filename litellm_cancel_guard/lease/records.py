"""One small record per worker, for those who look: nothing else reads it, and nothing depends on it.

It is written from the worker's start on, with each heartbeat, and lives as long as a killed worker's last slot may.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

# Above this many keys the limits of the others are left out: the record stays within a few kilobytes.
MOST_LIMITS = 200
# As many digits of a key's hash as tell the keys of a proxy apart.
HASH_DIGITS = 16
_BEATS_UNTIL_SILENT = 1.5


@dataclass(frozen=True, slots=True)
class Record:
    """What a worker says of itself.

    Attributes:
        worker: as in the ids of its slots.
        guard: version of the guard.
        beat_seconds: how often it says this.
        lease_seconds: how long a slot outlives it.
        limits: ``max_parallel_requests`` as last enforced, by how the hash of the key begins.
        limiter: LiteLLM's, and where it counts; empty where the worker's guard is older than what follows.
        missing: how each graft stands that does not do what it is for, by its name.
        settings: as they are in force.
        changed: the names of those that differ from the defaults.
        slots: how many it holds.
        obeys: whether it reads what operators order of it.
        endless: the deployments whose every stream ends without an end.
    """

    worker: str
    host: str
    pid: int
    guard: str
    litellm: str
    beat_seconds: float
    lease_seconds: float
    limits: Mapping[str, int] = field(default_factory=dict)
    limiter: str = ""
    missing: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    changed: Sequence[str] = ()
    slots: int | None = None
    obeys: bool = False
    endless: Sequence[str] = ()

    @property
    def place(self) -> str:
        """Where it runs, ``host:pid``."""
        return f"{self.host}:{self.pid}"

    @property
    def lives_for(self) -> int:
        """How long Redis keeps it, in milliseconds: a slot taken just before the next beat outlives it by nothing."""
        return int((self.lease_seconds + self.beat_seconds + 1) * 1000)

    def text(self) -> str:
        """Return it as it lies in Redis."""
        return json.dumps(asdict(self), separators=(",", ":"))


@dataclass(frozen=True, slots=True)
class Seen:
    """A worker as its record shows it.

    Attributes:
        silent_for: seconds since it last said so.
    """

    record: Record
    silent_for: float

    @property
    def silent(self) -> bool:
        """Whether it should have said so again: it was killed, its event loop stands still, or it has no Redis."""
        return self.silent_for > self.record.beat_seconds * _BEATS_UNTIL_SILENT + 1


@dataclass(frozen=True)
class Aside:
    """What goes along with a gauge's calls; whether any of it works changes nothing for them.

    Attributes:
        record: returns what this worker says of itself, to be written with each renewal.
        reclaimed: is told how many slots of others a call has dropped, because they had lapsed.
    """

    record: Callable[[], Record] | None = None
    reclaimed: Callable[[int], None] = lambda _: None


def read(text: str | bytes | None, milliseconds_left: int) -> Seen | None:
    """Return what a record says; None where there is none, or one that this version can't read."""
    try:
        said: Any = json.loads(text or "")
        known = {name: said[name] for name in Record.__dataclass_fields__ if name in said}
        known["limits"] = {str(key): int(limit) for key, limit in known["limits"].items()}
        known["missing"] = {str(name): str(state) for name, state in known.get("missing", {}).items()}
        known["settings"] = dict(known.get("settings", {}))
        known |= {name: tuple(map(str, known.get(name, ()))) for name in ("changed", "endless")}
        record = Record(**known)
        return Seen(record, max(0.0, (record.lives_for - milliseconds_left) / 1000))
    except (AttributeError, KeyError, TypeError, ValueError):
        return None
