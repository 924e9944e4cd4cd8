"""The soak's judgement on memory: it can fail."""

from __future__ import annotations

import pytest

from tests.soak.memory import Scales, Weight

PID = 1


@pytest.mark.parametrize(("kib_per_request", "leaks"), [(0, False), (3, False), (12, True)])
def test_a_worker_that_grows_with_its_requests_leaks(kib_per_request: int, leaks: bool) -> None:
    after_warm_up = [Weight(served, 400_000 + served * kib_per_request) for served in range(0, 4000, 10)]
    assert Scales({PID: after_warm_up}).by_weight(PID)[1] is leaks


def test_growth_while_it_warms_up_is_none() -> None:
    weights = [Weight(served, 400_000 + min(served, 1500) * 30) for served in range(0, 4000, 10)]
    assert not Scales({PID: weights}).by_weight(PID)[1]


def test_few_requests_say_nothing() -> None:
    weights = [Weight(served, 400_000 + served * 30) for served in range(0, 900, 10)]
    assert not Scales({PID: weights}).by_weight(PID)[1]


def test_more_objects_than_contexts_keep_are_a_leak() -> None:
    scales = Scales()
    assert scales.by_number(PID, {"Lease": 3}) == []
    assert scales.by_number(PID, {"Lease": 100}) == []
    assert scales.by_number(PID, {"Lease": 900}) == ["worker 1 has 900 of Lease, and had 3 at first"]
