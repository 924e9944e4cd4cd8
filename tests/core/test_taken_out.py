"""What the guard puts into its host can be taken out again, and is where its own faults would cost more."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import pytest

from litellm_cancel_guard.host.grafting import Board, NotFoundError, Touch, is_grafted
from litellm_cancel_guard.host.grafts import GRAFTS
from litellm_cancel_guard.lease.graft import State
from tests.core.hosts import GRAFT, Host

if TYPE_CHECKING:
    from collections.abc import Callable


def test_taken_out_the_host_is_what_it_was(touch: Touch) -> None:
    host, before = Host(), Host.called

    def replacement(original: Callable[..., Any]) -> Any:
        return original()

    touch.replace(host, "called", replacement)
    touch.replace(Host, "called", replacement)
    assert is_grafted(host, "called")
    touch.take_out()
    assert (list(vars(host)), Host.called) == (["calls"], before)
    assert not is_grafted(host, "called")


def test_taken_out_below_what_somebody_else_has_wrapped_it_passes_all_on(touch: Touch) -> None:
    """ddtrace and opentelemetry wrap LiteLLM, too: their wrapper must not lose what lies below it."""
    host = Host()
    touch.replace(host, "called", lambda _original: "the guard's answer")
    ours = host.called
    host.called = lambda: ("traced", ours())  # type: ignore[method-assign, misc]
    touch.take_out()
    assert host.called() == ("traced", "the host's answer")


@pytest.mark.parametrize("missing", ["gone", "calls"])
def test_what_is_no_method_any_more_is_not_found(touch: Touch, missing: str) -> None:
    with pytest.raises(NotFoundError, match=missing):
        touch.replace(Host(), missing, lambda original: original())


def test_a_method_that_is_a_coroutine_function_no_more_is_not_found(touch: Touch) -> None:
    async def replacement(original: Callable[..., Any]) -> Any:
        return await original()

    with pytest.raises(NotFoundError, match="no coroutine function here"):
        touch.replace(Host(), "called", replacement)


def test_a_host_that_takes_no_attributes_is_not_found(touch: Touch) -> None:
    with pytest.raises(NotFoundError, match="can't be set"):
        touch.replace(dict, "get", lambda original, *args: original(*args))


def test_faults_of_several_requests_take_the_group_out_and_those_of_one_client_do_not() -> None:
    out: list[tuple[str, str]] = []
    who: list[Any] = ["one client"]
    board = Board((GRAFT,), takes_out=lambda *said: out.append(said), who=lambda: who[0])
    board.note("a.graft", State.IN_FORCE)
    for _ in range(50):
        board.fault(GRAFT, ZeroDivisionError())
    assert out == []
    for number in range(4):
        who[0] = ("key", number)
        board.fault(GRAFT, ZeroDivisionError())
    assert out == [("a", "ZeroDivisionError in a.graft, met by 5 requests")]


def test_a_group_says_once_what_is_lost(caplog: pytest.LogCaptureFixture) -> None:
    board = Board(GRAFTS)
    with caplog.at_level(logging.WARNING):
        board.note_group("slots", State.STANDS_ASIDE, "it counts elsewhere")
        board.note_group("slots", State.STANDS_ASIDE, "it counts elsewhere")
    assert [record.message.partition(". ")[0] for record in caplog.records] == [
        "cancel_guard: slots stands aside: it counts elsewhere"
    ]


def test_a_mend_whose_faults_several_requests_meet_passes_everything_on() -> None:
    board = Board([GRAFT], who=iter(range(9)).__next__)
    board.takes_out = board.pass_on
    touch, host = board.touch("a.graft"), Host()

    def replacement(original: Callable[..., Any]) -> Any:
        raise ZeroDivisionError

    touch.replace(host, "called", replacement)
    board.note("a.graft", State.IN_FORCE)
    answers = [host.called() for _ in range(6)]
    assert (answers, len(host.calls)) == (["the host's answer"] * 6, 6)
    assert str(board.of("a.graft")) == "taken out: ZeroDivisionError in a.graft, met by 5 requests"
    assert not touch.in_force


def test_a_static_method_is_one_with_a_replacement_and_again_without(touch: Touch) -> None:
    class Static:
        @staticmethod
        def called(word: str) -> str:
            return word

    before = vars(Static)["called"]
    touch.replace(Static, "called", lambda original, word: original(word.upper()))
    assert [Static().called("a"), Static.called("a")] == ["A", "A"]
    touch.take_out()
    assert vars(Static)["called"] is before
