"""How many slots are renewed by one script, and by how many scripts at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from litellm_cancel_guard.gauge.layout import Call
from litellm_cancel_guard.gauge.scripts import SPARING, load_together

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from litellm_cancel_guard.lease.lease import Lease

    Share = tuple[str, list[str]]
    Wanted = tuple[Lease, int]

T = TypeVar("T")

# One script blocks Redis for about a microsecond per id. Between the scripts of a pipeline Redis serves others, and a
# beat must be one round trip; the end is only there to bound what is written at once, about two megabytes.
_IDS_PER_CALL = 500
_CALLS_PER_PIPELINE = 5000
# Calls that one script makes on a single node: a command costs redis-py as much as the script costs Redis.
_CALLS_TOGETHER = 50
# Arguments that all renewals of a worker have in common, at their beginning.
_SHARED = 2


def batches(leases: Iterable[Lease]) -> list[list[Share]]:
    """Return pipelines of calls, each a gauge and the ids of its slots."""
    ids: dict[str, list[str]] = {}
    for lease in leases:
        ids.setdefault(lease.gauge, []).append(lease.id)
    calls = [(gauge, chunk) for gauge, all_ids in ids.items() for chunk in chunks(all_ids, _IDS_PER_CALL)]
    return chunks(calls, _CALLS_PER_PIPELINE)


def pipelines(wanted: Iterable[Wanted]) -> list[list[Wanted]]:
    """Return pipelines of calls, each a lease to acquire and its limit."""
    return chunks(list(wanted), _CALLS_PER_PIPELINE)


def together(shares: list[T], call_of: Callable[[T], Call]) -> list[Call]:
    """Return calls of which each does what *call_of* returns for some of *shares*, whose keys lie on one node."""
    # One after the other: what lives for ten thousand leases at once brings on Python's full garbage collection with
    # each second beat, and the event loop of a proxy stands still for it for a quarter of a second.
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
    name = calls[0].script.name
    args: list[str | int | float] = [*calls[0].args[:_SHARED]] if name in SPARING else [len(calls[0].keys)]
    for call in calls:
        own = call.args[_SHARED:] if name in SPARING else call.args
        args += (len(own), *own)
    return Call(load_together(name), tuple(key for call in calls for key in call.keys), tuple(args))


def chunks(items: list[T], size: int) -> list[list[T]]:
    """Return *items* in lists of *size* at most."""
    if 0 < len(items) <= size:
        return [items]
    return [items[start : start + size] for start in range(0, len(items), size)]
