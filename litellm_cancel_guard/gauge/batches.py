"""How many slots are renewed by one script, and by how many scripts at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from litellm_cancel_guard.gauge.layout import Call
from litellm_cancel_guard.gauge.scripts import load_together

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from litellm_cancel_guard.lease import Lease

# One script blocks Redis for about a microsecond per id. Between the scripts of a pipeline Redis serves others, and a
# beat must be one round trip; the end is only there to bound what is written at once, about two megabytes.
_IDS_PER_CALL = 500
_CALLS_PER_PIPELINE = 5000
# Calls that one script makes on a single node: a command costs redis-py as much as the script costs Redis.
_CALLS_TOGETHER = 50


def batches(leases: Iterable[Lease]) -> list[list[tuple[str, list[str]]]]:
    """Return pipelines of calls, each a gauge and the ids of its slots."""
    ids: dict[str, list[str]] = {}
    for lease in leases:
        ids.setdefault(lease.gauge, []).append(lease.id)
    calls = [(gauge, chunk) for gauge, all_ids in ids.items() for chunk in _chunks(all_ids, _IDS_PER_CALL)]
    return _chunks(calls, _CALLS_PER_PIPELINE)


def together(calls: Sequence[Call]) -> list[tuple[Call, int]]:
    """Return calls that do what *calls* do, which are of one script, and how many of them each does.

    The answer of each is the list of their answers. Their keys must lie on one node.
    """
    return [(_as_one(some), len(some)) for some in _chunks(list(calls), _CALLS_TOGETHER)]


def _as_one(calls: list[Call]) -> Call:
    args: list[str | int | float] = [len(calls[0].keys)]
    for call in calls:
        args += (len(call.args), *call.args)
    return Call(load_together(calls[0].script.name), tuple(key for call in calls for key in call.keys), tuple(args))


def _chunks(items: list[Any], size: int) -> list[list[Any]]:
    return [items[start : start + size] for start in range(0, len(items), size)]
