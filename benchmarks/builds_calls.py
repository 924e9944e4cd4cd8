"""Prints what a build asks of Redis, as JSON: run with that build's package before all others on the path.

Knows of the package what all builds have had.
"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

from litellm_cancel_guard.gauge.batches import together
from litellm_cancel_guard.gauge.layout import Layout, counted_layout, slots_layout
from litellm_cancel_guard.lease.lease import Lease

if TYPE_CHECKING:
    from collections.abc import Callable

    from litellm_cancel_guard.gauge.layout import Call

_KEYS, _PAIRS, _RENEWED, _LIMIT, _LEASE = 100, 2000, 2000, 1000, 30.0
_BEAT, _BEATS = 10.0, 4


def _plain(call: Call) -> list[Any]:
    return [call.script.text, call.script.sha, len(call.keys), *call.keys, *call.args]


def _taken(layout: Layout, name: str) -> tuple[Call, Call]:
    lease = Lease.new(name, "acompletion")
    return layout.acquire(lease, _LIMIT, _LEASE), layout.release(lease)


def _renewing(layout: Layout, beat: int) -> Callable[[tuple[str, list[str]]], Call]:
    return lambda share: layout.renew(share[0], share[1], _LEASE + beat * _BEAT)


def _renewals(layout: Layout, per_key: int) -> dict[str, list[list[Any]]]:
    """Acquires of slots, and the beats that renew them: each is later by a beat, as the longer lease has it."""
    shares = [
        (f"api_key:{number:064x}", [Lease.new("", "acompletion").id for _ in range(per_key)])
        for number in range(_RENEWED // per_key)
    ]
    held = [layout.acquire(Lease(name, slot), _LIMIT, _LEASE) for name, ids in shares for slot in ids]
    beats = [call for beat in range(1, _BEATS + 1) for call in together(shares, _renewing(layout, beat))]
    return {"held": list(map(_plain, held)), "beats": list(map(_plain, beats))}


def _of(layout: Layout) -> dict[str, Any]:
    names = [f"api_key:{number:064x}" for number in range(_KEYS)]
    pairs = [_taken(layout, names[number * 37 % _KEYS]) for number in range(_PAIRS)]
    return {
        "others": [_plain(_taken(layout, name)[0]) for name in names for _ in range(3)],
        "pairs": [[_plain(acquire), _plain(release)] for acquire, release in pairs],
        "renewals": {per_key: _renewals(layout, per_key) for per_key in (1, 10)},
        "renewed": _RENEWED * _BEATS,
    }


if __name__ == "__main__":
    json.dump({layout.name: _of(layout) for layout in (slots_layout(), counted_layout())}, sys.stdout)
