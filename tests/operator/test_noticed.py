"""What is noticed of many requests together: keys that get no slot, slots given back, long lines."""

from __future__ import annotations

import logging

import pytest

from litellm_cancel_guard.lease.lease import Ending, Lease, Turn
from litellm_cancel_guard.ledger.observer import Observers
from litellm_cancel_guard.ledger.registry import Registry, Request
from litellm_cancel_guard.operator.leaks import Leaks
from litellm_cancel_guard.operator.long_lines import LongLines
from litellm_cancel_guard.operator.shut_out import ShutOut
from tests.operator.counted import GAUGE, admitted


class TestShutOut:
    """Refusals of a key that gets no slot, without its name."""

    def refused(self, shut: ShutOut, now: list[float], gauge: str, seconds: float, every: float = 10.0) -> list[bool]:
        told = []
        for _ in range(int(seconds / every)):
            now[0] += every
            told.append(shut.refused(gauge))
        return told

    def test_one_key_of_a_hundred_shows_after_five_minutes_of_refusals_alone(self) -> None:
        now = [0.0]
        shut = ShutOut(lambda: now[0])
        told = []
        for _ in range(40):
            now[0] += 10.0
            told.append(shut.refused("stuck"))
            for number in range(100):
                assert not shut.refused(f"busy {number}")
                shut.admitted(f"busy {number}")
        assert told == [False] * 30 + [True] * 10

    def test_a_slot_between_two_refusals_ends_it(self) -> None:
        now = [0.0]
        shut = ShutOut(lambda: now[0])
        assert not any(self.refused(shut, now, "key", 290))
        shut.admitted("key")
        assert not any(self.refused(shut, now, "key", 290))

    def test_two_refusals_with_more_than_five_minutes_between_them_say_nothing(self) -> None:
        now = [0.0]
        shut = ShutOut(lambda: now[0])
        assert not any(self.refused(shut, now, "key", 3000, every=301.0))

    def test_it_keeps_no_more_keys_than_ten_thousand(self) -> None:
        now = [0.0]
        shut = ShutOut(lambda: now[0])
        for number in range(10_100):
            shut.refused(f"key {number}")
        assert len(shut._streaks) == 10_000
        now[0] = 300.0
        assert shut.refused("key 10099")
        assert not shut.refused("key 0")


class TestLeaks:
    """One line for each slot whose request neither finished nor failed."""

    def observed(self, now: list[float]) -> Registry:
        registry = Registry()
        registry.observer = Observers()
        registry.observer.add(Leaks(lambda: now[0]))
        return registry

    def test_it_names_the_key_as_its_hash_begins_the_route_the_ending_and_the_time(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        registry = self.observed([0.0])
        with caplog.at_level(logging.INFO, "LiteLLM Proxy"):
            registry.end(admitted(registry), Ending.CLIENT_LEFT)
        assert "key abababab, route acompletion, client_left after 0.0 s" in caplog.text
        assert "ab" * 5 not in caplog.text

    def test_a_key_that_is_no_hash_is_not_shown(self, caplog: pytest.LogCaptureFixture) -> None:
        registry = self.observed([0.0])
        request = Request("acompletion")
        registry.hold(request, Lease("api_key:secret-of-a-custom-auth"), 4)
        registry.observer.acquired(request)
        with caplog.at_level(logging.INFO, "LiteLLM Proxy"):
            registry.end(request, Ending.TASK_ENDED)
        assert "task_ended" in caplog.text
        assert "secret" not in caplog.text

    @pytest.mark.parametrize(
        ("route", "ending"),
        [("acompletion", Ending.COMPLETED), ("acompletion", Ending.REFUSED), ("pass_through_endpoint", "task_ended")],
    )
    def test_a_finished_or_refused_request_is_not_logged_nor_one_that_can_not_be_told_from_it(
        self, caplog: pytest.LogCaptureFixture, route: str, ending: str
    ) -> None:
        registry = self.observed([0.0])
        with caplog.at_level(logging.INFO, "LiteLLM Proxy"):
            registry.end(admitted(registry, route), Ending(ending))
        assert caplog.text == ""

    def test_ten_a_minute_are_logged_and_the_others_counted(self, caplog: pytest.LogCaptureFixture) -> None:
        now = [0.0]
        registry = self.observed(now)
        with caplog.at_level(logging.INFO, "LiteLLM Proxy"):
            for _ in range(25):
                registry.end(admitted(registry), Ending.CLIENT_LEFT)
            lines = len(caplog.records)
            now[0] = 60.0
            registry.end(admitted(registry), Ending.CLIENT_LEFT)
        assert lines == 10
        assert "gave back 15 more such slots" in caplog.text


class TestLongLines:
    """One line for a key whose line is longer than half of what it may be."""

    def told(self, gauges: list[str], waiting: list[int], most: int = 8, every: float = 0.0) -> int:
        """How many lines there are when so many wait for each of *gauges*, one count after the other."""
        now = [0.0]
        lines = LongLines(lambda: now[0])
        for count in waiting:
            for gauge in gauges:
                request = Request("acompletion")
                request.gauge, request.limit, request.turn = gauge, 4, Turn(most)
                lines.waits(request, count)
            now[0] += every
        return len(lines._told)

    def test_it_names_the_key_as_its_hash_begins_how_many_wait_and_how_many_may(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        self.told([GAUGE], [5])
        assert "key abababab is long: 5 requests wait for its 4 slots; once 8 do (max_waiting)" in caplog.text
        assert (caplog.records[0].levelno, "ab" * 5 in caplog.text) == (logging.WARNING, False)

    def test_half_of_it_is_not_long(self, caplog: pytest.LogCaptureFixture) -> None:
        self.told([GAUGE], [1, 2, 3, 4])
        assert caplog.text == ""

    def test_each_key_has_one_in_ten_minutes(self, caplog: pytest.LogCaptureFixture) -> None:
        self.told([GAUGE, "api_key:other"], [5] * 11, every=60.0)
        assert len(caplog.records) == 4

    @pytest.mark.more
    def test_it_remembers_no_more_keys_than_ten_thousand(self) -> None:
        assert self.told([f"api_key:{number}" for number in range(10_100)], [5]) == 10_000
