"""When a worker that is told to end ends what is still open, and how it learns of it."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from contextlib import suppress
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from litellm_cancel_guard.host import shutdown
from litellm_cancel_guard.host.closing import Closer
from litellm_cancel_guard.host.draining import Draining
from litellm_cancel_guard.host.grafting import Board
from litellm_cancel_guard.host.grafts import GRAFTS
from litellm_cancel_guard.terminal.failure import ProviderStreamError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator


class SleptError(Exception):
    """In the place of a wait."""


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    times: list[float] = []

    async def sleep(seconds: float) -> None:
        times.append(seconds)
        if len(times) > 1:
            raise SleptError

    monkeypatch.setattr("litellm_cancel_guard.host.draining.asyncio.sleep", sleep)
    return times


@pytest.mark.parametrize(
    ("said", "grace", "due"),
    [
        (0, 30.0, 28.0),
        (0, 3.0, 1.5),
        (0, 0.0, 0.0),
        (10, 30.0, 10.0),
        (60, 30.0, 28.0),
        (10, None, 10.0),
    ],
    ids=str,
)
async def test_it_is_two_seconds_before_the_server_cuts_or_when_the_operator_says_if_that_is_sooner(
    slept: list[float], said: float, grace: float | None, due: float
) -> None:
    ended: list[int] = []
    with suppress(SleptError):
        await Draining(lambda: ended.append(1) or 1, lambda: said).before_the_cut(grace)  # type: ignore[func-returns-value]
    assert (slept[0], ended) == (due, [1])


async def test_a_server_that_waits_for_ever_cuts_nothing_and_nothing_is_ended() -> None:
    await asyncio.wait_for(Draining(lambda: 1 // 0, lambda: 0.0).before_the_cut(None), 1)


async def endless() -> AsyncIterator[str]:
    while True:
        yield "word"


async def test_a_stream_that_holds_no_slot_is_ended_too_and_told_once(slept: list[float]) -> None:
    waiting, over = Draining(lambda: 0, lambda: 1.0), Closer(endless())
    uncounted, ended = waiting.follow(), waiting.follow()
    stopped = Closer(endless())
    uncounted(stopped)
    ended(over)
    ended(None)
    with suppress(SleptError):
        await waiting.before_the_cut(None)
    with pytest.raises(ProviderStreamError, match="restarted"):
        stopped.look_again()
    over.look_again()
    assert not uncounted.stop()


@pytest.fixture
def told() -> Iterator[list[int]]:
    """What the handler of a server that is no uvicorn has been told."""
    numbers: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, _: numbers.append(number))
    yield numbers
    signal.signal(signal.SIGTERM, before)


async def test_a_server_that_tells_nobody_is_heard_by_its_signal_which_it_still_gets(
    told: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    began: asyncio.Future[float | None] = asyncio.get_running_loop().create_future()
    hypercorn: Any = SimpleNamespace(Config=SimpleNamespace(graceful_timeout=3))
    monkeypatch.setitem(sys.modules, "hypercorn.config", hypercorn)

    async def first(grace: float | None) -> None:
        began.set_result(grace)

    shutdown.at_the_signal(first)
    shutdown.at_the_signal(first)
    os.kill(os.getpid(), signal.SIGTERM)
    assert await asyncio.wait_for(began, 5) == 3
    assert told == [signal.SIGTERM]


def test_a_server_that_is_told_once_more_when_its_loop_is_over_has_no_error_of_it(told: list[int]) -> None:
    async def listen() -> None:
        shutdown.at_the_signal(shutdown._nothing)

    asyncio.run(listen())
    os.kill(os.getpid(), signal.SIGTERM)
    assert told == [signal.SIGTERM]


class Unasked:
    """A server whose end nobody may ask for."""

    @property
    def shutdown(self) -> Any:
        raise RuntimeError("closed")

    def handle_exit(self, *_: Any) -> None:
        """Take a signal."""


@pytest.fixture
def board() -> Board:
    return Board(GRAFTS)


async def test_a_server_whose_end_cannot_be_looked_at_is_left_alone(told: list[int], board: Board) -> None:
    signal.signal(signal.SIGTERM, Unasked().handle_exit)
    shutdown.act_last(acted, board)
    assert (str(board.of("server.last").state.value), told) == ("stands aside", [])


async def acted() -> None:
    """What is done last."""


class Server:
    """One that ends as uvicorn's does, and whose settings can't be read."""

    ended = False

    @property
    def config(self) -> Any:
        raise RuntimeError("closed")

    async def shutdown(self) -> None:
        self.ended = True

    def handle_exit(self, *_: Any) -> None:
        """Take a signal."""


async def test_a_server_whose_settings_cannot_be_read_ends_all_the_same(told: list[int], board: Board) -> None:
    server = Server()
    signal.signal(signal.SIGTERM, server.handle_exit)
    shutdown.act_last(acted, board)
    await server.shutdown()
    assert (server.ended, told) == (True, [])
