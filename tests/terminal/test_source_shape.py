"""What else LiteLLM asks of a chat stream's source: its type, and to be read without a loop."""

from __future__ import annotations

from typing import Any

from litellm_cancel_guard.host.mends.source import watched
from tests.terminal.test_source import Stuck, Wrapper


class MockResponseIterator(Stuck):
    """As LiteLLM's own, which replays a whole answer."""


async def test_an_answer_that_is_replayed_keeps_its_type() -> None:
    """By that LiteLLM runs the hooks of a deployment on it (1.103 - 1.109, utils.py), a guardrail among them."""
    replayed = MockResponseIterator()
    assert watched(replayed, Wrapper(), tell_truncation=True) is replayed


def test_a_stream_may_be_read_without_a_loop() -> None:
    """By `litellm.completion(stream=True)`, in a guardrail of an operator's: most of LiteLLM's iterators do both."""

    class Both(Stuck):
        def __next__(self) -> Any:
            if not self.after:
                raise StopIteration
            return self.after.pop(0)

    assert list(watched(Both(after=("one", "two")), Wrapper(), tell_truncation=True)) == ["one", "two"]
