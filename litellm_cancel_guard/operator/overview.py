"""What an operator asks of the slots and does to them; the command line and the admin routes only put it into words."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

from litellm_cancel_guard.aio.each import each
from litellm_cancel_guard.lease import slotname
from litellm_cancel_guard.lease.holders import AGENT_DIGITS, Holding
from litellm_cancel_guard.lease.keyname import key_of
from litellm_cancel_guard.lease.lease import REST, UNNAMED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from litellm_cancel_guard.gauge.line import Waits
    from litellm_cancel_guard.gauge.survey import Count, Place, Slot
    from litellm_cancel_guard.lease.holders import Holder
    from litellm_cancel_guard.lease.records import Seen

_SHORTEST_PREFIX = 4


class NotHeldError(Exception):
    """What was asked for is not there; the message says so."""


class AtRestError(NotHeldError):
    """No key of that name holds a slot: one that is at rest leaves nothing in Redis, nor does one that never was."""


class AmbiguousError(NotHeldError):
    """What was asked for is more than one."""


class StillRunsError(Exception):
    """A slot is of a request that runs; the message says where, and what would follow."""


class Surveyed(Protocol):
    """Where slots can be looked at and given back: `gauge.survey`. Every call may raise what a gauge does.

    Attributes:
        scope: ``all workers``, or ``this worker``.
    """

    scope: str

    async def places(self) -> list[Place]:
        """Return the keys with slots."""

    async def count(self, place: Place) -> Count:
        """Return what is in flight there."""

    async def holding(self, worker: str, place: Place) -> Holding:
        """Return what a worker, which has a slot there, says of who holds its slots."""

    async def release(self, place: Place, slot: str) -> int:
        """Give a slot back; return how many are left."""

    async def order(self, place: Place, slot: Slot, by: str) -> float:
        """Order the worker of a slot to end its request; return the seconds until it has read it."""


@dataclass(frozen=True)
class Released:
    """What was given back.

    Attributes:
        key: LiteLLM's hash of it.
        slots: their ids.
        in_flight: how many are left.
    """

    key: str
    slots: list[str]
    in_flight: int


async def all_counts(survey: Surveyed) -> list[Count]:
    """Return what is in flight for every key that holds slots."""
    return await each(survey.count, await survey.places())


async def count_of(survey: Surveyed, key: str) -> Count:
    """Return what is in flight for *key*; a key (sk-...), LiteLLM's hash of it, or how the hash begins.

    Raises:
        AtRestError: there is none such.
        AmbiguousError: there is more than one.
    """
    wanted = key_of(key.removeprefix("api_key:"))
    begins = key.lower() if re.fullmatch(rf"[0-9a-fA-F]{{{_SHORTEST_PREFIX},63}}", key) else wanted
    found = [place for place in await survey.places() if key_of(place.gauge).startswith(begins)]
    if not found:
        raise AtRestError("That key holds no slot (a key at rest leaves nothing in Redis).")
    if len(found) > 1:
        names = ", ".join(f"{place.prefix}{key_of(place.gauge)[:16]}" for place in found)
        raise AmbiguousError(f"That is more than one: {names}. Give more of the hash, or the namespace.")
    return await survey.count(found[0])


async def with_holders(survey: Surveyed, counts: list[Count]) -> list[Count]:
    """Return *counts* with who holds each slot, as far as its worker says: from its next beat on, and of many, not all.

    Raises:
        Exception: as of every call of a survey.
    """
    said: dict[tuple[str, str], Holding] = {}
    for count in counts:
        for slot in count.slots:
            if slot.seen is not None and slot.worker is not None and (count.place.prefix, slot.worker) not in said:
                said[count.place.prefix, slot.worker] = await survey.holding(slot.worker, count.place)
    return [_with_holders(count, said) for count in counts]


def _held_by(slot: Slot, holder: Holder | None) -> Slot:
    """Return *slot* with its *holder*, and since when he has it: the id of one that waited says when it came."""
    if holder is None or slot.age is None:
        return replace(slot, holder=holder)
    return replace(slot, holder=holder, age=max(0.0, slot.age - holder.waited))


def _with_holders(count: Count, said: dict[tuple[str, str], Holding]) -> Count:
    of = {slot.worker: said.get((count.place.prefix, slot.worker or ""), Holding()) for slot in count.slots}
    slots = [_held_by(slot, of[slot.worker].holders.get(slot.id)) for slot in count.slots]
    return replace(count, slots=slots, left_out=sum(holding.left_out for holding in of.values()))


def chosen(count: Count, slot: str | None) -> list[str]:
    """Return the ids of all slots, or of the one that is or begins with *slot*.

    Raises:
        NotHeldError: there is none such.
        AmbiguousError: it may be more than one; see `id_of`.
    """
    ids = [held.id for held in count.slots]
    if slot is not None:
        return [id_of(ids, slot)]
    if not ids:
        raise NotHeldError("No such slot is held.")
    return ids


def id_of(ids: Sequence[str], slot: str) -> str:
    """Return the one of *ids* that is or begins with *slot*.

    Raises:
        NotHeldError: there is none such.
        AmbiguousError: there is more than one, or *slot* may mean another by the time that it is looked for.
    """
    found = [slot] if slot in ids else [name for name in ids if name.startswith(slot)]
    if not found:
        raise NotHeldError("No such slot is held.")
    if len(found) > 1:
        raise AmbiguousError(f"{len(found)} slots begin with {slot}: give more of it.")
    # All slots of a worker begin with its name: of a request that has ended meanwhile, the only one left is another's.
    if slot != found[0] and len(slot) <= _length_of_worker(found[0]):
        raise AmbiguousError(f"{slot!r} names no slot, but all of a worker: give more of it.")
    return found[0]


def _length_of_worker(slot: str) -> int:
    """Return how many characters of a slot's id say nothing of the slot itself."""
    said = slotname.read(slot)
    return 0 if said is None else len(said.worker) + 1


def refuse_running(count: Count, ids: list[str]) -> None:
    """Raise StillRunsError if one of *ids* is of a worker that is alive."""
    where = [place_of(slot) for slot in count.slots if slot.id in ids and state_of(slot) == "alive"]
    if where:
        raise StillRunsError(
            f"{len(where)} of them {'is' if len(where) == 1 else 'are'} of requests that run "
            f"({', '.join(sorted(set(where)))}): given back, more than "
            "the limit would run, until their workers take them again with their next heartbeat."
        )


def place_of(slot: Slot) -> str:
    """Return ``host:pid`` of its worker, where that is known."""
    return slot.seen.record.place if slot.seen else "unknown"


async def give_back(survey: Surveyed, count: Count, ids: list[str]) -> Released:
    """Give *ids* of *count* back. One whose request runs is taken again at its worker's next heartbeat."""
    left = len(count.slots)
    for slot in ids:
        left = await survey.release(count.place, slot)
    return Released(key_of(count.place.gauge), ids, left)


def described(count: Count) -> dict[str, Any]:
    """Return *count* for a script."""
    return {
        "key": key_of(count.place.gauge),
        "namespace": count.place.prefix.rstrip(":"),
        "slots": len(count.slots),
        "limit": count.limit,
        "number": count.number,
        "limiter": "counting" if count.place.counting else "slots",
        "oldest_seconds": _rounded(count.oldest),
        "first_lapses_in_seconds": count.slots[0].lapses_in if count.slots else None,
        "of_silent_workers": sum(state_of(slot) == "silent" for slot in count.slots),
        "waiting": count.line.waiting,
        "agents_waiting": count.line.classes,
        "first_waited_seconds": _rounded(count.line.first_for),
        "turn": turn_of(count.line),
    }


def detailed(count: Count) -> dict[str, Any]:
    """Return *count* for a script, with each of its slots."""
    left_out = {"holders_left_out": count.left_out} if count.left_out else {}
    return {**described(count), "held": [_slot(slot) for slot in count.slots], **left_out}


def turn_of(line: Waits) -> str | None:
    """Return whose turn it is, as a holder's ``agent`` is called; None where that names nobody, or nobody waits."""
    return None if line.of in ("", UNNAMED, REST) else line.of[:AGENT_DIGITS]


def state_of(slot: Slot) -> str:
    """Return ``alive``; ``silent`` where its worker was killed, stands still or has no Redis; ``unknown``.

    A worker is unknown until its first heartbeat with a slot, and where it runs an older guard or none.
    """
    if slot.seen is None:
        return "unknown"
    return "silent" if slot.seen.silent else "alive"


def introduced(seen: Seen) -> dict[str, Any]:
    """Return what a worker says of itself for a script: of one with an older guard, what that says."""
    record = seen.record
    return {
        "worker": record.worker,
        "state": "silent" if seen.silent else "alive",
        "last_beat_seconds": _rounded(seen.silent_for),
        "host": record.host,
        "pid": record.pid,
        "guard": record.guard,
        "litellm": record.litellm,
        "limiter": record.limiter or None,
        "not_in_force": dict(record.missing),
        "settings": dict(record.settings),
        "slots": record.slots,
        "streams_without_end": list(record.endless),
    }


def _slot(slot: Slot) -> dict[str, Any]:
    record = slot.seen.record if slot.seen else None
    return {
        "slot": slot.id,
        "route": slot.route,
        "age_seconds": _rounded(slot.age),
        "lapses_in_seconds": slot.lapses_in,
        "worker": slot.worker,
        "worker_state": state_of(slot),
        "worker_silent_seconds": _rounded(slot.seen.silent_for) if slot.seen else None,
        "host": record.host if record else None,
        "pid": record.pid if record else None,
        "guard": record.guard if record else None,
        "litellm": record.litellm if record else None,
        "holder": None if slot.holder is None else _holder(slot.holder, slot.seen),
    }


def _holder(holder: Holder, seen: Seen | None) -> dict[str, Any]:
    since = seen.silent_for if seen else 0.0
    return {
        "model": holder.model or None,
        "call_id": holder.call_id or None,
        "path": holder.path or None,
        "agent": holder.agent or None,
        "last_chunk_seconds": None if holder.quiet is None else _rounded(holder.quiet + since),
        **holder.detail,
    }


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 3)
