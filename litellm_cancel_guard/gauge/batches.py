"""How many slots are renewed by one script, and by how many scripts at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    from litellm_cancel_guard.lease import Lease

# One script blocks Redis for about a microsecond per id. Between the scripts of a pipeline Redis serves others, and a
# beat must be one round trip; the end is only there to bound what is written at once, about two megabytes.
_IDS_PER_CALL = 500
_CALLS_PER_PIPELINE = 5000


def batches(leases: Iterable[Lease]) -> list[list[tuple[str, list[str]]]]:
    """Return pipelines of calls, each a gauge and the ids of its slots."""
    ids: dict[str, list[str]] = {}
    for lease in leases:
        ids.setdefault(lease.gauge, []).append(lease.id)
    calls = [(gauge, chunk) for gauge, all_ids in ids.items() for chunk in _chunks(all_ids, _IDS_PER_CALL)]
    return _chunks(calls, _CALLS_PER_PIPELINE)


def _chunks(items: list[Any], size: int) -> list[list[Any]]:
    return [items[start : start + size] for start in range(0, len(items), size)]
