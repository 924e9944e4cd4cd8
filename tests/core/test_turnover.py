"""What a worker remembers of slots and of those it refused, and how far a client of few tries gets with that."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest

from litellm_cancel_guard.ledger.turnover import Turnover

KEY = "api_key:k"
ANN, BOB = 1, 2
BEGUN = 1_800_000_000.0


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now

    def wall(self) -> float:
        return BEGUN + self.now - 1000


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def worker(clock: Clock) -> Turnover:
    return Turnover(clock, clock.wall)


def held_since(wall: float) -> str:
    return f"{'0' * 12}.{int(wall * 1000):x}.1.acompletion"


TRIES = 5
Ask = Callable[[], int]


def waited(clock: Clock, workers: list[Turnover], seconds: float, *, before: float = 0.0, tries: int = TRIES) -> float:
    """How long a client waits that asks five times more, when it is told, for a slot held for so many seconds.

    *before*: for how long it was held when the client comes. Each time another of the workers is asked.
    """
    taken, came, turn = clock.wall() - before, clock.wall(), itertools.cycle(workers)
    for _ in range(tries):
        if clock.wall() >= taken + seconds:
            return clock.wall() - came
        clock.now += next(turn).refused(KEY, ANN, [held_since(taken)], 1)
    assert clock.wall() >= taken + seconds, "all tries are used up"
    return clock.wall() - came


@pytest.mark.parametrize("workers", [1, 2, 3])
@pytest.mark.parametrize("before", [0, 0.1, 3])
@pytest.mark.parametrize("seconds", [5, 10, 30, 60])
def test_a_client_of_five_tries_outlasts_a_holder_of_which_nothing_is_known(
    clock: Clock, seconds: float, before: float, workers: int
) -> None:
    took = waited(clock, [Turnover(clock, clock.wall) for _ in range(workers)], seconds, before=before)

    assert took <= 4 * seconds


@pytest.mark.parametrize("seconds", [5, 10, 30, 60])
@pytest.mark.parametrize("used_to", [0.2, 2, 20])
def test_it_does_so_where_the_key_was_used_otherwise_before(
    clock: Clock, worker: Turnover, seconds: float, used_to: float
) -> None:
    for _ in range(20):
        worker.came_back(KEY, used_to)

    waited(clock, [worker], seconds)


@pytest.mark.parametrize("seconds", [5, 10, 30, 45])
def test_where_it_is_known_how_long_slots_are_held_the_first_wait_is_right(
    clock: Clock, worker: Turnover, seconds: float
) -> None:
    for _ in range(5):
        worker.came_back(KEY, seconds)

    assert waited(clock, [worker], seconds, before=2, tries=1) <= 1.25 * seconds


def test_a_caller_who_loses_each_slot_to_others_waits_longer_each_time(clock: Clock, worker: Turnover) -> None:
    worker.came_back(KEY, 4)
    told = []
    for _ in range(6):
        told.append(worker.refused(KEY, ANN, [held_since(clock.wall() - 3)], 1))
        clock.now += told[-1]

    assert told == sorted(told)
    assert told[0] <= 2
    assert 32 <= told[-1] <= 40


def test_answers_of_a_fifth_of_a_second_are_worth_a_second_and_two_for_who_keeps_losing(
    clock: Clock, worker: Turnover
) -> None:
    for _ in range(5):
        worker.came_back(KEY, 0.2)

    told = []
    for _ in range(10):
        holders = [held_since(clock.wall() - age) for age in (0.0, 0.05, 0.1, 0.15)]
        told.append(worker.refused(KEY, ANN, holders, 4))
        clock.now += told[-1]

    assert told[:5] == [1] * 5
    assert set(told[5:]) == {2}


def test_many_at_once_under_one_name_are_no_caller_who_keeps_being_refused(clock: Clock, worker: Turnover) -> None:
    worker.came_back(KEY, 2)
    told = [worker.refused(KEY, ANN, [held_since(clock.wall())], 1) for _ in range(50)]

    assert max(told) <= 3


def test_who_was_admitted_or_did_not_come_back_begins_anew(clock: Clock, worker: Turnover) -> None:
    worker.came_back(KEY, 4)

    def refused() -> int:
        told = worker.refused(KEY, ANN, [held_since(clock.wall() - 3)], 1)
        clock.now += told
        return told

    first, again = refused(), refused()
    assert first <= 2 < again
    worker.admitted(KEY, ANN)
    assert refused() <= 2
    clock.now += 60
    assert refused() <= 2


def test_a_caller_waits_behind_the_others_who_sleep_and_not_behind_those_who_are_due(
    clock: Clock, worker: Turnover
) -> None:
    worker.came_back(KEY, 8)
    holders = [held_since(clock.wall())]

    assert 8 <= worker.refused(KEY, ANN, holders, 1) <= 10
    assert 16 <= worker.refused(KEY, BOB, holders, 1) <= 20
    clock.now += 25
    assert 8 <= worker.refused(KEY, 3, [held_since(clock.wall())], 1) <= 10


def test_while_nobody_can_tell_what_is_in_flight_who_keeps_coming_waits_longer(clock: Clock, worker: Turnover) -> None:
    told = []
    for _ in range(5):
        told.append(worker.unknown(KEY, ANN))
        clock.now += told[-1]

    assert told[0] == 1
    assert told == sorted(told)
    assert sum(told) >= 60


def test_a_thousand_callers_in_a_second_and_as_many_keys_take_no_more_memory_than_a_few(
    clock: Clock, worker: Turnover
) -> None:
    for number in range(1000):
        clock.now += 0.001
        worker.refused(KEY, number, [held_since(clock.wall())], 1)
        worker.refused(f"api_key:{number}", number, [], 1)
        worker.came_back(f"api_key:{number}", 1)
    assert len(worker._gauges) <= 512
    assert sum(len(known.refused) for known in worker._gauges.values()) <= 512 + 64

    # Those that were forgotten are told what a newcomer is.
    assert worker.refused(KEY, 1, [held_since(clock.wall())], 1) < 60


def test_a_holder_whose_worker_has_a_clock_ahead_of_ours_is_new(clock: Clock, worker: Turnover) -> None:
    assert worker.refused(KEY, ANN, [held_since(clock.wall() + 3600)], 1) == 1


def test_ids_that_are_not_the_guards_are_holders_of_unknown_age(worker: Turnover) -> None:
    assert 1 <= worker.refused(KEY, ANN, ["2d4f8a", ""], 2) <= 2


def test_behind_a_line_a_slot_is_as_old_as_it_is_held_and_not_as_its_id_says(worker: Turnover, clock: Clock) -> None:
    """One that waited for 40 s and has just been handed its slot was taken for one that is held for 80 s more."""
    for _ in range(4):
        worker.came_back(KEY, 2.0)
    waited_for_it = held_since(clock.wall() - 40)
    assert worker.refused(KEY, ANN, [waited_for_it], 1) >= 48
    clock.now += 600
    waited_for_it = held_since(clock.wall() - 40)
    assert worker.refused(KEY, ANN, [waited_for_it], 1, {}) <= 3
    clock.now += 600
    waited_for_it = held_since(clock.wall() - 40)
    assert worker.refused(KEY, ANN, [waited_for_it], 1, {waited_for_it: 1.5}) == 1


def test_behind_a_line_what_another_worker_holds_is_as_old_as_its_id_says_where_no_more_is_known(
    worker: Turnover, clock: Clock
) -> None:
    assert worker.refused(KEY, ANN, [held_since(clock.wall() - 10)], 1, {}) >= 20
    clock.now += 600
    worker.came_back(KEY, 12.0)
    assert worker.refused(KEY, ANN, [held_since(clock.wall() - 10)], 1, {}) <= 3
