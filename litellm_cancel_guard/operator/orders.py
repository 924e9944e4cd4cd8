"""A request ended by hand: found by its slot, and ordered of its worker; see `host.killing`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from litellm_cancel_guard.lease.keyname import key_of
from litellm_cancel_guard.operator.overview import all_counts, id_of, place_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from litellm_cancel_guard.gauge.survey import Count, Slot
    from litellm_cancel_guard.operator.overview import Surveyed


class NotKillableError(Exception):
    """A request can't be ended; the message says why, and what to do."""


@dataclass(frozen=True)
class Ordered:
    """What was ordered of a worker.

    Attributes:
        key: LiteLLM's hash of it.
        slot: whose request is to end.
        worker: who is to end it, ``host:pid``.
        within_seconds: until the worker has read it; 0 where it has ended it already.
    """

    key: str
    slot: str
    worker: str
    within_seconds: float


async def find(survey: Surveyed, slot: str) -> tuple[Count, Slot]:
    """Return the one slot whose id is or begins with *slot*, of whatever key.

    Raises:
        NotHeldError: there is none such.
        AmbiguousError: it may be more than one; see `id_of`.
    """
    held = {one.id: (count, one) for count in await all_counts(survey) for one in count.slots}
    return held[id_of(list(held), slot)]


async def kill(survey: Surveyed, slot: str, by: str, here: Callable[[str, str], bool | None]) -> Ordered:
    """Have the request of *slot*, an id or how it begins, ended by its worker, as *by* asks.

    Args:
        survey: where the slots are.
        slot: whose request.
        by: who asks, for the log of its worker; no key.
        here: ends it in this process, and tells whether it was held here; None: it was, and can't be ended yet.

    Raises:
        NotHeldError: there is none such.
        AmbiguousError: there is more than one.
        NotKillableError: its worker can't be told, or can't end it yet.
    """
    count, found = await find(survey, slot)
    name = key_of(count.place.gauge)
    ended = here(found.id, by)
    if ended is None:
        raise NotKillableError(
            "It can't be ended yet: its client polls for it, and its provider has not begun. Ask again."
        )
    if ended:
        return Ordered(name, found.id, place_of(found), 0.0)
    _demand_killable(found)
    return Ordered(name, found.id, place_of(found), await survey.order(count.place, found, by))


def _demand_killable(slot: Slot) -> None:
    if slot.worker is None:
        why = "its worker runs without the guard, or an old one"
    elif slot.seen is None:
        why = "its worker has not been heard of: it has begun just now, is gone, or may not say so in Redis"
    elif slot.seen.silent:
        why = f"its worker, {place_of(slot)}, is silent: it was killed, stands still or has no Redis; the slot lapses"
    elif not slot.seen.record.obeys:
        why = f"its worker, {place_of(slot)}, runs a guard that takes no orders: upgrade it"
    else:
        return
    raise NotKillableError(f"It can't be ended from here: {why}. Once its request is gone, `release` gives it back.")
