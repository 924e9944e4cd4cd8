"""One stream whose provider is a script of steps, and its reader on the proxy's side."""

from __future__ import annotations

import asyncio
import json
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from litellm_cancel_guard.lease.lease import Ending
from litellm_cancel_guard.settings import Settings
from litellm_cancel_guard.stream import guarded
from litellm_cancel_guard.terminal.events import Protocol
from litellm_cancel_guard.terminal.outcome import Outcome
from litellm_cancel_guard.terminal.sighting import Sighting
from tests.harness.provider.responses import Responses
from tests.harness.provider.wire import Anthropic, Chat, Gemini

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class Dict(SimpleNamespace):
    def model_dump(self, **_: Any) -> dict[str, Any]:
        return {name: getattr(value, "model_dump", lambda value=value: value)() for name, value in vars(self).items()}


def plain(value: Any) -> Any:
    """JSON as the objects that LiteLLM hands to the hook."""
    if isinstance(value, dict):
        return Dict(**{name: plain(item) for name, item in value.items()})
    return [plain(item) for item in value] if isinstance(value, list) else value


def chunks_of(protocol: Protocol, frames: bytes) -> list[Any]:
    whole = [frame + b"\n\n" for frame in frames.split(b"\n\n") if frame]
    if protocol in (Protocol.MESSAGES, Protocol.GENAI):
        return list(whole)
    data = [frame.split(b"data: ", 1)[1].strip() for frame in whole]
    return [plain(json.loads(line)) for line in data if line != b"[DONE]"]


WIRES: dict[Protocol, Any] = {
    Protocol.CHAT: Chat,
    Protocol.MESSAGES: Anthropic,
    Protocol.RESPONSES: Responses,
    Protocol.GENAI: Gemini,
}
# Those in which a model is asked; an agent is in test_agent_calls.py.
OF_MODELS = tuple(WIRES)
PROTOCOLS = pytest.mark.parametrize("protocol", OF_MODELS, ids=lambda protocol: protocol.value)


class Provider:
    """Steps: a chunk, a number of seconds to wait, an exception to raise, or an event to wait for."""

    def __init__(self, *steps: Any) -> None:
        self._steps = steps
        self.closed = 0

    async def _play(self) -> AsyncIterator[Any]:
        for step in self._steps:
            if isinstance(step, float):
                await asyncio.sleep(step)
            elif isinstance(step, asyncio.Event):
                await step.wait()
            elif isinstance(step, BaseException):
                raise step
            else:
                yield step

    def __aiter__(self) -> AsyncIterator[Any]:
        return self._play()

    async def aclose(self) -> None:
        self.closed += 1


class Reader:
    """The proxy's side: what came out, when the request ended, and what LiteLLM was told."""

    def __init__(self, protocol: Protocol, **settings: Any) -> None:
        self.log: list[Any] = []
        self.told: list[Exception] = []
        self.sighting = Sighting("x")
        self.outcome = Outcome(protocol, Settings(**settings), self.sighting, self._report)

    async def _report(self, error: Exception) -> None:
        self.told.append(error)

    async def _end(self, ending: Ending) -> None:
        self.log.append(ending)

    async def read(self, provider: Any) -> list[Any]:
        async for chunk in guarded(provider, self._end, None, self.outcome):
            self.log.append(chunk)
        return [entry for entry in self.log if not isinstance(entry, Ending)]


def whole(protocol: Protocol) -> list[Any]:
    wire = WIRES[protocol]("model")
    return chunks_of(protocol, wire.opening() + wire.chunk(0) + wire.chunk(1) + wire.closing(2))


def begun(protocol: Protocol, chunks: int = 1) -> list[Any]:
    wire = WIRES[protocol]("model")
    return chunks_of(protocol, wire.opening() + b"".join(wire.chunk(index) for index in range(chunks)))


def opening(protocol: Protocol) -> list[Any]:
    return chunks_of(protocol, WIRES[protocol]("model").opening())


class LimitedError(Exception):
    status_code = 429
