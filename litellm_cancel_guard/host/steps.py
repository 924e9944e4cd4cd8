"""A source that LiteLLM pulls step by step, and when one makes no progress."""

from __future__ import annotations

from typing import Any

from litellm_cancel_guard.terminal.failure import Failure, ProviderStreamError
from litellm_cancel_guard.terminal.meanings import BROKEN_OFF

# A stream is stuck after so many pulls that said nothing and of which none suspended.
SAID_NOTHING = 16_384


class Steps:
    """A source that is no async one (boto3's): LiteLLM pulls it in a thread, 1.80 on the loop itself.

    `CustomStreamWrapper.__anext__` asks again for as long as it says nothing: on the loop nobody else is served then,
    in a thread the request never ends. boto3's own wait for the network and never say nothing.
    """

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self._said_nothing = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def __iter__(self) -> Steps:
        return self

    def __next__(self) -> Any:
        chunk = next(self._stream)
        nothing = chunk is None or (isinstance(chunk, bytes) and not chunk)
        self._said_nothing = self._said_nothing + 1 if nothing else 0
        if self._said_nothing > SAID_NOTHING:
            raise no_progress()
        return chunk


def no_progress() -> ProviderStreamError:
    """Return what a stream that is stuck ends in."""
    return ProviderStreamError(Failure(BROKEN_OFF, "The provider's stream makes no progress."))
