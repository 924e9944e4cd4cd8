"""What is said of a target: by the spread, and no more than that allows."""

from __future__ import annotations

import random

import pytest

from benchmarks.figures import Figure, Results, one, part_of, ratio, spread
from benchmarks.report import cells, counted
from benchmarks.targets import Target, target_of
from benchmarks.verdict import Verdict, verdict_on

AT_MOST_ONE = Target("<=", 1.0)
AT_LEAST_ONE = Target(">=", 1.0)
BELOW, ABOVE = [0.90, 0.92, 0.94, 0.96, 0.98], [1.02, 1.04, 1.06, 1.08, 1.10]


@pytest.mark.parametrize(
    ("seen", "at_most", "at_least"),
    [
        (BELOW, Verdict.MET, Verdict.MISSED),
        (ABOVE, Verdict.MISSED, Verdict.MET),
        ([*BELOW[1:], 1.02], Verdict.NOISY, Verdict.NOISY),
        (BELOW[:4], Verdict.NOISY, Verdict.NOISY),
        (BELOW[:1], Verdict.NOISY, Verdict.NOISY),
    ],
)
def test_a_median_has_a_verdict_once_five_samples_agree(seen: list[float], at_most: Verdict, at_least: Verdict) -> None:
    middle = sorted(seen)[len(seen) // 2]
    assert verdict_on(AT_MOST_ONE, middle, seen) is at_most
    assert verdict_on(AT_LEAST_ONE, middle, seen) is at_least


def test_a_median_just_at_its_bound_is_rarely_called_anything_but_too_noisy() -> None:
    """Of a program whose ratio is the bound itself, nothing can be told, however often it is asked."""
    chance = random.Random(19)
    for count in (5, 10, 50):
        said = [
            verdict_on(AT_MOST_ONE, 1.0, [chance.gauss(1.0, 0.05) for _ in range(count)]) is not Verdict.NOISY
            for _ in range(2000)
        ]
        assert sum(said) / len(said) < 0.12, count


def test_a_p99_needs_three_hundred_samples_to_be_met_and_few_to_be_missed() -> None:
    assert verdict_on(AT_MOST_ONE, 0.98, BELOW * 59, 0.99) is Verdict.NOISY
    assert verdict_on(AT_MOST_ONE, 0.98, BELOW * 60, 0.99) is Verdict.MET
    assert verdict_on(AT_MOST_ONE, 1.1, [*BELOW * 4, *ABOVE], 0.99) is Verdict.MISSED


def test_what_was_counted_is_judged_by_its_value() -> None:
    assert verdict_on(AT_MOST_ONE, 1.0) is Verdict.MET
    assert verdict_on(AT_MOST_ONE, 2.0) is Verdict.MISSED


def test_pairs_on_the_same_start_of_the_proxies_count_once() -> None:
    """Two processes of the same program differ for as long as they live: ten pairs on two starts are two samples."""
    pairs = [(100.0, 80.0 + number / 10) for number in range(10)]
    assert _cpu(pairs, per_start=1).verdict is Verdict.MET
    assert _cpu(pairs, per_start=5).verdict is Verdict.NOISY


def _cpu(pairs: list[tuple[float, float]], per_start: int) -> Figure:
    name = "CPU ms of the proxy per request, plain"
    return ratio("throughput", name, pairs, per_start=per_start, version="1.110.2")


def test_the_first_target_that_fits_a_figure_and_its_litellm_is_the_one() -> None:
    plain = "CPU ms of the proxy per request, plain"
    assert str(target_of("throughput", plain, "1.83.14")) == "<= 0.97"
    assert str(target_of("throughput", plain, "1.93.2")) == "<= 0.97"
    assert str(target_of("throughput", plain, "1.94.3")) == "<= 0.9"
    assert str(target_of("throughput", plain, "1.110.2")) == "<= 0.9"
    assert str(target_of("throughput", "requests/s, streamed, 50 chunks", "1.83.14")) == ">= 0.98"
    assert str(target_of("leases", "heartbeat, 10000 leases, 10 per key, slots")) == "<= 2"
    assert target_of("leases", "heartbeat, 1000 leases, 10 per key, slots") is None


def test_what_only_shows_what_is_possible_has_no_target() -> None:
    core = "Redis' core, acquire + release, slots, key at rest, pipelined"
    assert str(target_of("builds", core)) == "<= 0.6"
    assert target_of("builds", f"{core}: scripts that do nothing") is None


def test_a_run_says_how_many_targets_were_met_missed_and_too_near() -> None:
    plain = "requests/s, plain"
    figures = [
        one("line", "refusals seen by a client", "", 0),
        one("line", "refusals seen by a client", "", 3),
        ratio("throughput", plain, [(100.0, 111.0)] * 2 + [(100.0, 90.0)], version="1.110.2"),
        spread("arrivals", "arrivals per second, plain", "", [60.0, 61.0]),
    ]
    assert counted(Results(figures)) == "1 met, 1 missed, 1 too noisy to tell"


def test_a_ratio_of_one_pair_says_that_it_was_seen_once() -> None:
    once = ratio("line", "answers per second over clients that poll", [(10.0, 12.0)])
    assert "seen once" in cells(once)
    assert "seen once" not in cells(one("line", "refusals seen by a client", "", 0))


def test_a_part_of_independent_samples_is_judged_as_that_part() -> None:
    met = part_of(
        "hang_up", "slot free after the hang-up, median, 200 other streams", "ms", [2.0, 3.0, 2.5, 4.0, 9.0], 50
    )
    far = part_of("hang_up", "slot free after the hang-up, p99, 200 other streams", "ms", [2.0, 3.0, 2.5, 4.0, 9.0], 99)
    assert (met.value, met.verdict, far.verdict) == (3.0, Verdict.MET, Verdict.NOISY)
