"""What the guard puts into its host answers as meant, and a fault of its own costs a caller nothing."""

from __future__ import annotations

import asyncio
import gc
import weakref
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

from litellm_cancel_guard.host.called import Meant
from tests.core.hosts import Host

if TYPE_CHECKING:
    from collections.abc import Callable

    from litellm_cancel_guard.host.grafting import Touch


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
