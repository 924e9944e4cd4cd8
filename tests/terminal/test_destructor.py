"""The destructor of LiteLLM's streams, which can crash the interpreter, goes where it does nothing that is needed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from litellm.litellm_core_utils import streaming_handler

from litellm_cancel_guard.host.mends import destructor
from litellm_cancel_guard.settings import Settings
from tests.terminal.loose import touch

if TYPE_CHECKING:
    from collections.abc import Callable


class Log:
    """The logging object of a stream."""

    restored = 0

    def _restore_correlation_context_if_unclaimed(self) -> None:
        Log.restored += 1


class Restoring:
    """As the streams of LiteLLM 1.103 - 1.110."""

    logging_obj = Log()

    def _restore_consumer_correlation_context(self, *, guarded: bool) -> None:
        if guarded:
            getattr(self.logging_obj, "_restore_correlation_context_if_unclaimed")()  # noqa: B009 - as LiteLLM does

    def __del__(self) -> None:
        self._restore_consumer_correlation_context(guarded=True)


class Closing(Restoring):
    """As they may be one day."""

    closed = 0

    def __del__(self) -> None:
        self._restore_consumer_correlation_context(guarded=True)
        Closing.closed += 1


class ClosingBelow:
    """As what they call may be."""

    closed = 0

    def _restore_consumer_correlation_context(self, *, guarded: bool) -> None:
        ClosingBelow.closed += guarded

    def __del__(self) -> None:
        self._restore_consumer_correlation_context(guarded=True)


@pytest.fixture
def mended(monkeypatch: pytest.MonkeyPatch) -> Callable[[Any], bool]:
    def mend(wrapper: Any) -> bool:
        monkeypatch.setattr(streaming_handler, "CustomStreamWrapper", wrapper)
        return destructor.mend(Settings(), touch())

    return mend


def test_it_goes_where_it_only_sets_context_variables(mended: Callable[[Any], bool]) -> None:
    wrapper = type("Wrapper", (), dict(vars(Restoring)))
    assert mended(wrapper)
    wrapper()
    assert Log.restored == 0


@pytest.mark.parametrize("kind", [Closing, ClosingBelow])
def test_it_stays_where_it_does_more(mended: Callable[[Any], bool], kind: Any) -> None:
    assert not mended(kind)
    kind()
    assert kind.closed == 1


def test_there_is_nothing_to_mend_where_there_is_none(mended: Callable[[Any], bool]) -> None:
    assert not mended(type("Wrapper", (), {}))


def test_the_streams_of_this_litellm_have_none_that_sets_any(mended: Callable[[Any], bool]) -> None:
    wrapper = type("Wrapper", (), dict(vars(streaming_handler.CustomStreamWrapper)))
    assert mended(wrapper) or "__del__" not in vars(wrapper)
    assert "__del__" not in vars(wrapper)
