"""When a refused caller should come back: in seconds, bounded, and longer where that is what is known."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from litellm_cancel_guard.ledger.estimate import MOST_SECONDS, patience, until_free, whole_seconds

SECONDS = st.floats(min_value=0, max_value=1e5)
DURATIONS = st.lists(SECONDS, max_size=16)
HELD = st.integers(min_value=1, max_value=64)
AHEAD = st.integers(min_value=0, max_value=64)
NUMBERS = st.integers(min_value=0, max_value=10**9)


@given(ages=DURATIONS, more=HELD, lasted=DURATIONS, ahead=AHEAD, number=NUMBERS)
def test_a_wait_is_from_a_second_to_a_minute_whatever_is_known(
    ages: list[float], more: int, lasted: list[float], ahead: int, number: int
) -> None:
    wait = until_free(ages, len(ages) + more, lasted, ahead)

    assert wait >= 0
    told = whole_seconds(wait, number)
    assert isinstance(told, int)
    assert 1 <= told <= MOST_SECONDS


@example(ages=[0.0, 3.0], more=18, lasted=[1.0, 2.0], ahead=59)
@given(ages=DURATIONS, more=HELD, lasted=DURATIONS, ahead=AHEAD)
def test_more_callers_ahead_never_make_it_shorter(
    ages: list[float], more: int, lasted: list[float], ahead: int
) -> None:
    held = len(ages) + more

    # But for the last bit of a sum, which whole seconds do not know.
    assert until_free(ages, held, lasted, ahead) <= until_free(ages, held, lasted, ahead + 1) + 1e-9


@given(lasted=st.lists(SECONDS, min_size=1, max_size=16), more=SECONDS, held=HELD)
def test_slots_that_are_held_longer_never_make_it_shorter(lasted: list[float], more: float, held: int) -> None:
    longer = [each + more for each in lasted]

    assert until_free([0.0] * held, held, lasted) <= until_free([0.0] * held, held, longer)


@given(refusals=st.integers(min_value=1, max_value=100), held=HELD, lasted=DURATIONS)
def test_the_wait_of_a_caller_who_keeps_being_refused_never_falls(
    refusals: int, held: int, lasted: list[float]
) -> None:
    assert patience(1, held, lasted) == 0
    assert patience(refusals, held, lasted) <= patience(refusals + 1, held, lasted)
    assert patience(refusals, held + 1, lasted) <= patience(refusals, held, lasted)


@given(wait=st.floats(min_value=0, max_value=48), more=st.floats(min_value=0, max_value=100), number=NUMBERS)
def test_what_is_told_is_never_less_than_the_wait_and_a_longer_wait_is_never_told_as_less(
    wait: float, more: float, number: int
) -> None:
    told = whole_seconds(wait, number)

    assert wait - 1e-6 <= told <= max(1, wait * 1.25 + 1)
    assert told <= whole_seconds(wait + more, number)


def test_those_who_are_refused_together_are_told_to_come_back_apart() -> None:
    told = [whole_seconds(40, number) for number in range(100, 111)]

    assert len(set(told)) >= 8
    assert set(told) <= set(range(40, 51))


@pytest.mark.parametrize(("wait", "told"), [(0.0, 1), (0.2, 1), (0.8, 1), (2.0, 2), (2.1, 3), (60, 48), (1e9, 48)])
def test_a_wait_is_told_in_whole_seconds(wait: float, told: int) -> None:
    assert whole_seconds(wait, 0) == told


def test_the_longest_wait_is_below_the_minute_from_which_on_older_sdks_obey_none() -> None:
    assert max(whole_seconds(1e9, number) for number in range(1000)) == 59


def test_where_all_were_held_alike_it_is_the_rest_of_the_oldest() -> None:
    assert until_free([3, 12, 7], 3, [20] * 5) == pytest.approx(8)


def test_each_of_those_ahead_takes_the_next_that_comes_free() -> None:
    waits = [until_free([3, 12, 7], 3, [20] * 5, ahead) for ahead in range(7)]

    assert waits == pytest.approx([8, 13, 17, 28, 33, 37, 48])


def test_one_that_is_older_than_all_that_were_seen_is_expected_to_go_on_for_twice_its_age() -> None:
    assert until_free([25], 1, [20] * 5) == pytest.approx(50)
    assert until_free([25], 1, []) == pytest.approx(50)


def test_of_slots_held_now_for_long_and_now_for_short_it_is_when_one_is_free_with_three_chances_in_four() -> None:
    assert until_free([0], 1, [1, 2, 3, 4]) == pytest.approx(3)
    assert until_free([2.5], 1, [1, 2, 3, 4]) == pytest.approx(1.5)
    assert until_free([0, 0], 2, [1, 2, 3, 4]) == pytest.approx(2)


def test_what_nobody_knows_the_age_of_is_expected_to_come_free_at_equal_distances() -> None:
    assert [until_free([], 3, [8, 8], ahead) for ahead in range(3)] == pytest.approx([2, 4, 6])
