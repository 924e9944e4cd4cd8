"""How many slots are renewed by one script, and by how many scripts at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from litellm_cancel_guard.gauge.layout import Call
from litellm_cancel_guard.gauge.scripts import SPARING, load_together

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator

    from litellm_cancel_guard.lease.lease import Lease

    Share = tuple[str, list[str]]
    Wanted = tuple[Lease, int]

T = TypeVar("T")

# One script blocks Redis for about a microsecond per id. Between the scripts of a pipeline Redis serves others.
_IDS_PER_CALL = 500
# A pipeline is written at once, and the event loop stands still meanwhile: less than 10 ms with these, on a slow core.
_CALLS_PER_PIPELINE = 200
_IDS_PER_PIPELINE = 1000
# Calls that one script makes on a single node: a command costs redis-py as much as the script costs Redis.
_CALLS_TOGETHER = 50
# What all of them begin with, a span and a lease. Each argument costs redis-py a microsecond, half of what a beat does.
_ALIKE = 2


def batches(leases: Collection[Lease]) -> Iterator[list[Share]]:
    """Yield pipelines of calls, each a gauge and the ids of its slots.

    One after the other: what lives for ten thousand leases at once brings on Python's full garbage collection with each
    second beat, and the event loop of a proxy stands still for it for a quarter of a second.
    """
    for some in chunks(list(leases), _IDS_PER_PIPELINE):
        ids: dict[str, list[str]] = {}
        for lease in some:
            ids.setdefault(lease.gauge, []).append(lease.id)
        calls = [(gauge, chunk) for gauge, all_ids in ids.items() for chunk in chunks(all_ids, _IDS_PER_CALL)]
        yield from chunks(calls, _CALLS_PER_PIPELINE)


def pipelines(wanted: Iterable[Wanted]) -> list[list[Wanted]]:
    """Return pipelines of calls, each a lease to acquire and its limit."""
    return chunks(list(wanted), _CALLS_PER_PIPELINE)


def together(shares: list[T], call_of: Callable[[T], Call]) -> list[Call]:
    """Return calls of which each does what *call_of* returns for some of *shares*, whose keys lie on one node."""
    return [_as_one([call_of(share) for share in some]) for some in chunks(shares, _CALLS_TOGETHER)]


def notable(answers: list[Any], shares: int) -> dict[int, Any]:
    """Return what the calls made by `together` have to say, errors among it, by the place of its share."""
    told: dict[int, Any] = {}
    for number, answer in enumerate(answers):
        start = number * _CALLS_TOGETHER
        if isinstance(answer, Exception):
            told.update(dict.fromkeys(range(start, min(start + _CALLS_TOGETHER, shares)), answer))
        else:
            told.update((start + place - 1, said) for place, said in zip(answer[::2], answer[1::2], strict=True))
    return told


def _as_one(calls: list[Call]) -> Call:
    first, keys = calls[0], tuple(key for call in calls for key in call.keys)
    script, alike = load_together(first.script.name), first.args[:_ALIKE]
    if first.script.name in SPARING:
        counted = (each for call in calls for each in (len(call.args) - _ALIKE, *call.args[_ALIKE:]))
        return Call(script, keys, (*alike, *counted))
    own = ["\n".join(map(str, call.args[_ALIKE:])) for call in calls]
    return Call(script, keys, (len(first.keys), _ALIKE, *alike, *own))


def chunks(items: list[T], size: int) -> list[list[T]]:
    """Return *items* in lists of *size* at most."""
    if 0 < len(items) <= size:
        return [items]
    return [items[start : start + size] for start in range(0, len(items), size)]
