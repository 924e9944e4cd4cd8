"""What a beat writes at once is bounded, or the event loop stands still for it."""

from __future__ import annotations

import pytest

from litellm_cancel_guard.gauge.batches import batches
from litellm_cancel_guard.lease.lease import Lease


@pytest.mark.parametrize("per_key", [1, 3, 700, 10_000])
def test_of_ten_thousand_leases_two_hundred_keys_and_a_thousand_slots_are_renewed_at_once_at_most(per_key: int) -> None:
    leases = [Lease(f"api_key:{number // per_key}", str(number)) for number in range(10_000)]
    renewed = []
    for batch in batches(leases):
        assert len(batch) <= 200
        assert sum(len(ids) for _, ids in batch) <= 1000
        assert all(len(ids) <= 500 for _, ids in batch)
        renewed += [Lease(gauge, name) for gauge, ids in batch for name in ids]
    assert renewed == leases
