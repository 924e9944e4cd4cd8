"""LiteLLM's layer around a callback's stream is left out around the guard's, and stays around everybody else's."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import pytest
from litellm.proxy.utils import ProxyLogging

from litellm_cancel_guard.guard import _PROXY_CancelGuard, _PROXY_CancelGuardsEnd
from litellm_cancel_guard.host.grafting import NotFoundError, is_grafted
from litellm_cancel_guard.host.mends import layers
from tests.terminal.loose import touch

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

NAME = "_wrap_streaming_iterator_with_enrichment"


class Ours:
    cancel_guard_needs_no_layer = True


class Theirs:
    guardrail_name = "theirs"


class From1103:
    """As LiteLLM has made it since 1.103."""

    @staticmethod
    async def _wrap_streaming_iterator_with_enrichment(
        callback: Any, response: Any, hook: Any, request_data: Any
    ) -> AsyncIterator[Any]:
        async for chunk in hook(response=response):
            yield (type(callback).__name__, chunk)


class From183:
    """As LiteLLM made it from 1.83 to 1.102."""

    @staticmethod
    async def _wrap_streaming_iterator_with_enrichment(callback: Any, gen: Any) -> AsyncIterator[Any]:
        async for chunk in gen:
            yield (type(callback).__name__, chunk)


async def chunks(*said: Any) -> AsyncIterator[Any]:
    for each in said:
        yield each


async def doubled(response: Any) -> AsyncIterator[Any]:
    async for chunk in response:
        yield 2 * chunk


async def served(logging: Any, callback: Any, hook: Any = doubled) -> list[Any]:
    """What comes out of LiteLLM's layer, called as LiteLLM calls it."""
    if isinstance(logging, From183):
        layer = logging._wrap_streaming_iterator_with_enrichment(callback, hook(response=chunks(1, 2)))
    else:
        layer = logging._wrap_streaming_iterator_with_enrichment(callback, chunks(1, 2), hook, request_data={})
    return [chunk async for chunk in layer]


@pytest.mark.parametrize("kind", [From1103, From183])
async def test_only_the_guards_own_streams_lose_their_layer_and_taken_out_none_does(kind: type) -> None:
    one = touch()
    layers._leave_out(kind, one)
    assert is_grafted(kind, NAME)
    assert await served(kind(), Ours()) == [2, 4]
    assert await served(kind(), Theirs()) == [("Theirs", 2), ("Theirs", 4)]
    one.take_out()
    assert isinstance(vars(kind)[NAME], staticmethod)
    assert not is_grafted(kind, NAME)
    assert await served(kind(), Ours()) == [("Ours", 2), ("Ours", 4)]


async def test_a_stream_in_which_the_guard_does_nothing_keeps_its_layer() -> None:
    """The layer closes the provider's stream when a client leaves; left out, LiteLLM closes what is in its place."""
    one = touch()
    layers._leave_out(From1103, one)
    assert await served(From1103(), Ours(), hook=lambda response: response) == [("Ours", 1), ("Ours", 2)]
    one.take_out()


async def test_a_hook_that_cannot_be_called_so_is_left_to_litellm() -> None:
    class Asking(From1103):
        @staticmethod
        async def _wrap_streaming_iterator_with_enrichment(
            callback: Any, response: Any, hook: Any, request_data: Any
        ) -> AsyncIterator[Any]:
            async for chunk in hook(source=response):
                yield chunk

    layers._leave_out(Asking, touch())
    assert await served(Asking(), Ours(), hook=lambda source: source) == [1, 2]


async def _takes_the_stream_alone(gen: Any) -> AsyncIterator[Any]:
    yield gen


def _no_generator(callback: Any, response: Any, hook: Any) -> Any:
    return response


@pytest.mark.parametrize(
    "value", [staticmethod(_takes_the_stream_alone), staticmethod(_no_generator), _takes_the_stream_alone]
)
def test_where_litellm_makes_it_in_another_way_it_stays(value: Any) -> None:
    kind = type("ProxyLogging", (), {NAME: value})
    with pytest.raises(NotFoundError, match=NAME):
        layers._leave_out(kind, touch())
    assert vars(kind)[NAME] is value


async def test_litellms_own_is_left_out_around_both_of_the_guards_callbacks() -> None:
    class Logging(ProxyLogging):  # type: ignore[misc]
        """The real one would stay grafted for all tests."""

    layers._leave_out(Logging, touch())
    for kind in (_PROXY_CancelGuard, _PROXY_CancelGuardsEnd):
        made = doubled(chunks(1, 2))
        callback = object.__new__(kind)
        layer = getattr(Logging, NAME)(callback, chunks(), functools.partial(_given, made), request_data={})
        assert layer is made
        await made.aclose()


def _given(made: Any, response: Any) -> Any:
    return made
