"""The line's calls: where those who wait for a slot of a gauge lie in Redis, and the scripts that know of them."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from litellm_cancel_guard.gauge.layout import Call, KeyKind
from litellm_cancel_guard.gauge.scripts import load, load_lined
from litellm_cancel_guard.lease import slotname

if TYPE_CHECKING:
    from collections.abc import Sequence

    from litellm_cancel_guard.gauge.layout import Layout
    from litellm_cancel_guard.lease.lease import Lease, Turn

# All in seconds. A slot that is handed to a waiter goes to the next if it is not claimed for so long; a place in line
# is given up if its worker does not look after it for so long, which it does each second. A claim takes one round trip:
# who is later than that was on a loop that stood still, and has his old place again.
CLAIM_SECONDS = 3.0
PLACE_SECONDS = 5.0

# Of one key. It bounds what a client can do to the others that makes up a name for each of its requests.
MOST_CLASSES = 256

# Of one look, which blocks Redis for some microseconds each.
MOST_IDS = 500

_KINDS = (KeyKind("hash"), KeyKind("zset"), KeyKind("zset"), KeyKind("zset"))


@dataclass(frozen=True, slots=True)
class Waits:
    """Who waits for a slot of one gauge.

    Attributes:
        waiting: how many.
        classes: of how many classes they are, at most.
        first: the id of who is next; empty where nobody is.
        of: the class that it is of.
    """

    waiting: int = 0
    classes: int = 0
    first: str = ""
    of: str = ""

    @property
    def first_for(self) -> float | None:
        """Seconds since the first asked, by the clocks of its worker and of this machine; None where none is known."""
        said = slotname.read(self.first)
        return None if said is None else max(0.0, time.time() - said.since)


NOBODY = Waits()


def acquire(layout: Layout, lease: Lease, turn: Turn, limit: int, lease_seconds: float) -> Call:
    """Return the call that takes a slot or waits; it answers as *line_acquire.lua* says."""
    waits = (turn.most, turn.of, turn.place, CLAIM_SECONDS, PLACE_SECONDS, layout.channel_of(), MOST_CLASSES)
    return _call("acquire", layout, lease.gauge, lease_seconds, limit, lease.id, *waits)


def release(layout: Layout, lease: Lease) -> Call:
    """Return the call that gives a slot or a place back; it answers ``[in flight, lapsed]``."""
    return _call("release", layout, lease.gauge, lease.id, CLAIM_SECONDS, layout.channel_of())


def look(layout: Layout, gauge: str, ids: Sequence[str]) -> Call:
    """Return the call that keeps the places of *ids*; it answers ``[lapsed, positions of those not in line]``."""
    return _call("look", layout, gauge, CLAIM_SECONDS, layout.channel_of(), PLACE_SECONDS, *ids)


def listing(layout: Layout, gauge: str) -> Call:
    """Return the call that answers as *list_lined.lua* says, and changes nothing."""
    _, *keys = layout.line_of(gauge)
    kinds = tuple(zip(keys, _KINDS[1:], strict=True))
    return Call(load("list_lined"), (layout.keys_of(gauge)[0], *keys), (layout.horizon_seconds,), kinds)


def _call(step: str, layout: Layout, gauge: str, *args: str | float) -> Call:
    script, keys = load_lined(layout.name, step), layout.line_of(gauge)
    kinds = tuple(zip(keys, _KINDS, strict=True))
    return Call(script, (*layout.keys_of(gauge), *keys), (layout.span_seconds, *args), kinds)
