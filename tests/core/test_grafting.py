"""What the guard puts into its host can be taken out again, and a fault of its own costs a caller nothing."""

from __future__ import annotations

import asyncio
import gc
import logging
import weakref
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

from litellm_cancel_guard.host.called import Meant
from litellm_cancel_guard.host.grafting import Board, NotFoundError, Touch, is_grafted
from litellm_cancel_guard.host.grafts import GRAFTS
from litellm_cancel_guard.lease.graft import Graft, State

if TYPE_CHECKING:
    from collections.abc import Callable

GRAFT = Graft("a.graft", "a", "nothing much")


class Host:
    def __init__(self) -> None:
        self.calls: list[Any] = []

    async def awaited(self, *args: Any, **kwargs: Any) -> Any:
        self.calls.append((args, kwargs))
        return "the host's answer"

    def called(self, *args: Any, **kwargs: Any) -> Any:
        self.calls.append((args, kwargs))
        return "the host's answer"

    async def fails(self) -> None:
        self.calls.append(())
        raise KeyError("the host's own")


@pytest.fixture
def faults() -> list[BaseException]:
    return []


@pytest.fixture
def touch(faults: list[BaseException]) -> Touch:
    return Touch(GRAFT, fault=lambda _, error: faults.append(error))


async def test_a_replacement_answers_and_may_ask_the_original(touch: Touch) -> None:
    host = Host()

    async def replacement(original: Callable[..., Any], word: str) -> Any:
        return [await original(word.upper())]

    touch.replace(host, "awaited", replacement)
    assert await host.awaited("word") == ["the host's answer"]
    assert host.calls == [(("WORD",), {})]


async def test_a_fault_before_the_original_means_one_call_with_the_callers_own_arguments(
    touch: Touch, faults: list[BaseException]
) -> None:
    host = Host()

    async def replacement(original: Callable[..., Any], *_: Any, **kwargs: Any) -> Any:
        kwargs.pop("more")
        raise ZeroDivisionError

    touch.replace(host, "awaited", replacement)
    assert await host.awaited(1, more=2) == "the host's answer"
    assert host.calls == [((1,), {"more": 2})]
    assert [type(fault) for fault in faults] == [ZeroDivisionError]


async def test_a_fault_after_the_original_changes_nothing_of_what_it_gave(
    touch: Touch, faults: list[BaseException]
) -> None:
    host = Host()

    async def replacement(original: Callable[..., Any]) -> Any:
        await original()
        raise ZeroDivisionError

    touch.replace(host, "awaited", replacement)
    assert await host.awaited() == "the host's answer"
    assert (len(host.calls), len(faults)) == (1, 1)


async def test_what_the_original_raises_is_raised_and_is_no_fault(touch: Touch, faults: list[BaseException]) -> None:
    host = Host()

    async def replacement(original: Callable[..., Any]) -> Any:
        return await original()

    touch.replace(host, "fails", replacement)
    with pytest.raises(KeyError, match="the host's own"):
        await host.fails()
    assert (len(host.calls), faults) == (1, [])


async def test_a_fault_in_handling_what_the_original_raised_does_not_hide_that(
    touch: Touch, faults: list[BaseException]
) -> None:
    host = Host()

    async def replacement(original: Callable[..., Any]) -> Any:
        try:
            return await original()
        except KeyError:
            raise ZeroDivisionError from None

    touch.replace(host, "fails", replacement)
    with pytest.raises(KeyError, match="the host's own"):
        await host.fails()
    assert (len(host.calls), len(faults)) == (1, 1)


async def test_an_answer_that_is_meant_to_be_raised_is_no_fault(touch: Touch, faults: list[BaseException]) -> None:
    host = Host()

    async def replacement(original: Callable[..., Any]) -> Any:
        raise Meant(PermissionError("not now"))

    touch.replace(host, "awaited", replacement)
    with pytest.raises(PermissionError, match="not now"):
        await host.awaited()
    assert (host.calls, faults) == ([], [])


async def test_a_cancellation_passes(touch: Touch, faults: list[BaseException]) -> None:
    host = Host()

    async def replacement(original: Callable[..., Any]) -> Any:
        raise asyncio.CancelledError

    touch.replace(host, "awaited", replacement)
    with pytest.raises(asyncio.CancelledError):
        await host.awaited()
    assert (host.calls, faults) == ([], [])


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


async def test_what_the_host_raises_keeps_nothing_alive(touch: Touch) -> None:
    """A stream ends in what its source raises: kept by that traceback, it would keep the provider's connection."""
    host = Host()

    async def replacement(original: Callable[..., Any]) -> Any:
        return await original()

    async def swallowing(original: Callable[..., Any]) -> Any:
        try:
            await original()
        except KeyError:
            raise Meant(StopAsyncIteration()) from None

    gone = weakref.ref(host)
    gc.disable()
    try:
        for how in (replacement, swallowing):
            touch.replace(host, "fails", how)
            with suppress(KeyError, StopAsyncIteration):
                await host.fails()
            touch.take_out()
            touch.in_force = True
        del host
        assert gone() is None
    finally:
        gc.enable()


def test_what_the_host_raises_bears_no_fault_of_the_guard(touch: Touch) -> None:
    class Failing:
        def fails(self) -> None:
            raise KeyError("the host's own")

    def replacement(original: Callable[..., Any]) -> Any:
        try:
            return original()
        except KeyError:
            raise ZeroDivisionError from None

    host = Failing()
    touch.replace(host, "fails", replacement)
    with pytest.raises(KeyError) as raised:
        host.fails()
    assert (raised.value.__cause__, raised.value.__context__) == (None, None)


def test_a_meant_error_keeps_its_own_cause_unless_it_is_raised_from_another(touch: Touch) -> None:
    meant, own = PermissionError("not now"), ValueError("its own")
    meant.__cause__ = own

    def replacement(original: Callable[..., Any]) -> Any:
        raise Meant(meant)

    host = Host()
    touch.replace(host, "called", replacement)
    with pytest.raises(PermissionError) as raised:
        host.called()
    assert raised.value.__cause__ is own


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


def test_calls_that_do_not_concern_a_replacement_are_the_originals_alone(touch: Touch) -> None:
    host, asked = Host(), []

    def replacement(original: Callable[..., Any], word: str) -> Any:
        asked.append(word)
        return "the guard's answer"

    touch.replace(host, "called", replacement, lambda word: word == "ours")
    assert [host.called("ours"), host.called("theirs")] == ["the guard's answer", "the host's answer"]
    assert (asked, host.calls) == (["ours"], [(("theirs",), {})])
    touch.in_force = False
    assert host.called("ours") == "the host's answer"
    touch.take_out()
    assert list(vars(host)) == ["calls"]


def test_a_fault_in_telling_whether_a_call_is_concerned_means_one_call_of_the_original(
    touch: Touch, faults: list[BaseException]
) -> None:
    host = Host()

    def concerned() -> bool:
        raise ZeroDivisionError

    touch.replace(host, "called", lambda _original: "the guard's answer", concerned)
    assert host.called() == "the host's answer"
    assert (len(host.calls), [type(fault) for fault in faults]) == (1, [ZeroDivisionError])
    touch.in_force = False
    assert (host.called(), len(faults)) == ("the host's answer", 1)


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
