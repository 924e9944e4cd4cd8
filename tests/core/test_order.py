"""The guard is asked before LiteLLM's limiter, or says that it is not."""

from __future__ import annotations

import asyncio
import sys
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from litellm_cancel_guard.host.grafting import Board, NotFoundError
from litellm_cancel_guard.host.grafts import GRAFTS
from litellm_cancel_guard.host.limiter.canary import Proof, Verdict
from litellm_cancel_guard.host.limiter.order import Order, put_in_order
from litellm_cancel_guard.host.standing import Standing
from litellm_cancel_guard.lease.graft import State
from litellm_cancel_guard.ledger.registry import Registry

if TYPE_CHECKING:
    from collections.abc import Callable

    from litellm_cancel_guard.host.grafting import Touch

GUARD, LIMITER, OUTER = "the guard", "the limiter", "the guard's end"


@pytest.fixture
def board() -> Board:
    return Board(GRAFTS)


def ordered(board: Board, monkeypatch: pytest.MonkeyPatch, litellm: Any) -> Touch:
    monkeypatch.setitem(sys.modules, "litellm", litellm)
    touch = board.touch("stream.enclosing")
    put_in_order(GUARD, OUTER, LIMITER, board, touch)
    return touch


class Ordered(list[Any]):
    """A list that its owner asks for more than a list has."""


def test_a_list_of_its_own_kind_is_reordered_into_one_of_that_kind(
    board: Board, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = Ordered((LIMITER, GUARD))
    litellm = SimpleNamespace(callbacks=before)
    ordered(board, monkeypatch, litellm)
    assert (type(litellm.callbacks), litellm.callbacks, before) == (Ordered, [GUARD, LIMITER], [LIMITER, GUARD])


@pytest.mark.parametrize("callbacks", [(LIMITER, GUARD), {LIMITER: 1, GUARD: 2}, object()], ids=type)
def test_what_is_no_list_is_left_alone(board: Board, monkeypatch: pytest.MonkeyPatch, callbacks: Any) -> None:
    litellm = SimpleNamespace(callbacks=callbacks)
    with pytest.raises(NotFoundError, match="is no list, but"):
        ordered(board, monkeypatch, litellm)
    assert (litellm.callbacks, board.of("slots.order").state) == (callbacks, State.STANDS_ASIDE)


class Keeps:
    """A module that goes by its own list, whatever is set."""

    def __init__(self) -> None:
        self.kept = [LIMITER, GUARD]

    @property
    def callbacks(self) -> list[str]:
        return self.kept

    @callbacks.setter
    def callbacks(self, _: list[str]) -> None:
        """Forget it."""


def test_an_order_that_cannot_be_changed_is_not_said_to_be_in_force(
    board: Board, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(NotFoundError, match="stays in the order"):
        ordered(board, monkeypatch, Keeps())
    assert board.of("slots.order").state is State.STANDS_ASIDE


async def as_a_request(*steps: Callable[[], object]) -> None:
    """In a task of its own."""

    async def serve() -> None:
        for step in steps:
            step()

    await asyncio.create_task(serve())


@pytest.fixture
def wrong() -> list[str]:
    return []


@pytest.fixture
def order(wrong: list[str]) -> Order:
    return Order(wrong.append)


async def test_two_requests_that_the_limiter_had_decided_on_before_say_once_that_the_guard_comes_too_late(
    order: Order, wrong: list[str]
) -> None:
    for requests in range(12):
        assert len(wrong) == (requests >= 2)
        await as_a_request(lambda: order.decides(guarded=False), order.late)
    assert wrong == ["LiteLLM's limiter decides before the guard is asked"]


async def test_where_one_request_was_the_guards_nothing_else_takes_it_out(order: Order, wrong: list[str]) -> None:
    await as_a_request(lambda: order.decides(guarded=True))
    for _ in range(5):
        await as_a_request(lambda: order.decides(guarded=False), order.late)
    assert wrong == []


async def test_what_the_limiter_decides_on_for_others_tells_nothing_of_the_order(
    order: Order, wrong: list[str]
) -> None:
    for _ in range(5):
        await as_a_request(lambda: order.decides(guarded=False))
        await as_a_request(order.late)
    assert wrong == []


async def test_requests_that_ran_while_the_guard_was_put_in_its_place_tell_nothing(
    order: Order, wrong: list[str]
) -> None:
    """They go through the hooks in the order that was: a burst of them took a healthy worker's guard out."""
    in_place = asyncio.Event()

    async def under_way() -> bool:
        await in_place.wait()
        order.decides(guarded=False)
        return order.late()

    burst = [asyncio.create_task(under_way()) for _ in range(5)]
    order.begin()
    in_place.set()
    assert await asyncio.gather(*burst) == [True] * 5
    assert wrong == []
    for _ in range(2):
        await as_a_request(lambda: order.decides(guarded=False), order.late)
    assert len(wrong) == 1


async def test_a_tools_call_inside_a_request_that_was_late_does_not_say_that_the_order_is_right(
    order: Order, wrong: list[str]
) -> None:
    for _ in range(2):
        await as_a_request(lambda: order.decides(guarded=False), order.late, lambda: order.decides(guarded=True))
    assert len(wrong) == 1


async def test_what_requests_have_shown_is_not_undone_by_a_canary_that_comes_to_a_proof_later(board: Board) -> None:
    """The canary goes to the limiter itself: it can't see in which order LiteLLM asks."""
    standing, asked = Standing(board, Registry()), asyncio.Event()

    async def canary() -> Proof:
        await asked.wait()
        return Proof(Verdict.PROVEN, "")

    standing.attach(lambda _: None, canary)
    deciding = asyncio.create_task(standing.decided())
    await asyncio.sleep(0)
    for _ in range(2):
        await as_a_request(lambda: standing.order.decides(guarded=False), standing.order.late)
    assert not standing.counts
    asked.set()
    await deciding
    assert not standing.counts
    standing.switch_off()
    standing.switch_on()
    assert standing.counts


def test_what_is_put_in_half_way_is_taken_out_again(board: Board) -> None:
    limiter, standing = SimpleNamespace(window_size=60), Standing(board, Registry())

    def put_in(touches: list[Touch]) -> None:
        touches.append(board.touch("slots.seam"))
        touches[0].put(limiter, "window_size", 30)
        board.note("slots.seam", State.IN_FORCE)
        raise NotFoundError("no list")

    with pytest.raises(NotFoundError):
        standing.attach(put_in, None)  # type: ignore[arg-type]
    assert (vars(limiter), standing.counts) == ({"window_size": 60}, False)
    assert str(board.of("slots.seam")) == "stands aside: no list"
