"""What only looks like a place to be grafted on is left alone, and said to be: shapes that LiteLLM may have one day."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

import pytest

from litellm_cancel_guard.host import mends
from litellm_cancel_guard.host.grafting import Board, NotFoundError
from litellm_cancel_guard.host.grafts import GRAFTS
from litellm_cancel_guard.host.limiter.reservations import keeps_reservations, settle_once
from litellm_cancel_guard.host.limiter.slots import Covered, save_releases
from litellm_cancel_guard.host.limiter.tokens import gather
from litellm_cancel_guard.host.mends.found import class_with
from litellm_cancel_guard.settings import Settings
from tests.terminal.loose import touch

if TYPE_CHECKING:
    from collections.abc import Callable


class Host:
    def called(self) -> str:
        return "the host's answer"


class Forgetful(Host):
    def __setattr__(self, name: str, value: Any) -> None:
        """Takes it, and goes by its class's all the same."""


class Around:
    def __init__(self, inner: Any) -> None:
        self.inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


def replacement(original: Callable[..., Any]) -> Any:
    return original()


def test_a_host_that_forgets_what_is_set_on_it_is_not_found() -> None:
    with pytest.raises(NotFoundError, match="not what it was set to"):
        touch().replace(Forgetful(), "called", replacement)


def test_a_wrapper_around_the_host_is_not_taken_for_it() -> None:
    around = Around(Host())
    with pytest.raises(NotFoundError, match="only hands called on"):
        touch().replace(around, "called", replacement)
    assert "called" not in vars(around)


def test_a_class_method_is_its_class_s_own_whichever_object_is_asked() -> None:
    class Book:
        @classmethod
        def reserved(cls) -> int:
            return 72

    book = Book()
    touch().replace(book, "reserved", lambda original: original() + 1)
    assert (book.reserved(), Book.reserved()) == (73, 72)


def test_what_is_not_there_is_nothing_to_mend() -> None:
    assert class_with("litellm_core_utils.streaming_handler", "CustomStreamWrapper", "__anext__") is not None
    assert class_with("litellm_core_utils.streaming_handler", "CustomStreamWrapper", "no_such_method") is None
    assert class_with("litellm_core_utils.streaming_handler", "NoSuchClass", "__anext__") is None


@pytest.mark.parametrize(
    ("graft", "module", "name", "method"),
    [
        ("stream.anthropic", "llms.anthropic.chat.handler", "ModelResponseIterator", "chunk_parser"),
        (
            "stream.responses",
            "responses.streaming_iterator",
            "BaseResponsesAPIStreamingIterator",
            "_handle_failure",
        ),
    ],
)
def test_a_mend_whose_method_has_become_a_property_stands_aside_and_is_not_called_needless(
    monkeypatch: pytest.MonkeyPatch, graft: str, module: str, name: str, method: str
) -> None:
    monkeypatch.setattr(mends, "_put_in", {})
    owner = getattr(import_module(f"litellm.{module}"), name)
    monkeypatch.setattr(owner, method, property(lambda _: None))
    board = Board(GRAFTS)
    try:
        mends.mend(Settings(), board)
        assert str(board.of(graft)) == f"stands aside: {name}.{method} is no method here"
    finally:
        mends.take_out(board)


def test_a_limiter_that_keeps_reservations_in_another_way_is_not_said_to_keep_none() -> None:
    class Limiter:
        _get_reserved_tokens_from_kwargs = _is_reservation_released = property(lambda _: 5)

        def _mark_reservation_released(self) -> None: ...

    assert keeps_reservations(Limiter())
    with pytest.raises(NotFoundError, match="is no method here"):
        settle_once(Limiter(), touch())


@pytest.mark.parametrize("answer", [bool, "tuple[None, str]"])
def test_a_release_that_answers_something_else_is_not_answered_by_the_guard(answer: Any) -> None:
    class Limiter:
        async def _release_parallel_request_slots(self, acquisition: Any) -> Any: ...

    Limiter._release_parallel_request_slots.__annotations__["return"] = answer
    with pytest.raises(NotFoundError, match="does not say that it answers None"):
        save_releases(Limiter(), Covered(), touch())


@pytest.mark.parametrize("more", [{"tenant": "a"}, {"as_an_iterator": True}])
async def test_increments_that_come_with_more_or_in_another_way_go_to_litellm_as_they_are(more: dict[str, Any]) -> None:
    seen: list[Any] = []
    operations: Any = [{"key": "k:tokens", "increment_value": 3, "ttl": 60}]

    class Limiter:
        async def async_increment_tokens_with_ttl_preservation(self, pipeline_operations: Any, **said: Any) -> None:
            seen.append(([*pipeline_operations], said))

        async def async_log_success_event(self) -> None:
            if "as_an_iterator" in more:
                await self.async_increment_tokens_with_ttl_preservation(pipeline_operations=iter(operations))
            else:
                await self.async_increment_tokens_with_ttl_preservation(pipeline_operations=operations, **more)

    limiter = Limiter()
    gather(limiter, touch())
    await limiter.async_log_success_event()
    assert seen == [(operations, more if "tenant" in more else {})]
