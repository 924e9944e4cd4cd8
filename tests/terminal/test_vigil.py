"""What is life of a provider's, and what is none: a stream is silent although LiteLLM pings, and alive by a comment."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from litellm_cancel_guard.settings import Settings
from litellm_cancel_guard.terminal.events import Protocol
from litellm_cancel_guard.terminal.failure import ProviderStreamError, failure_of
from litellm_cancel_guard.terminal.outcome import Outcome
from litellm_cancel_guard.terminal.sighting import Sighting
from litellm_cancel_guard.terminal.vigil import is_ping
from tests.terminal.scripted import begun, whole

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

PING = b'event: ping\ndata: {"type": "ping"}\n\n'


class Connection:
    """Sends *size* bytes each 20 ms; the stream above brings *above* as often, if anything, after *first*."""

    def __init__(self, first: list[Any], *, size: int = 0, above: Any = None, times: int = 1000) -> None:
        self.first, self.size, self.above, self.times = first, size, above, times
        self.received = 1000

    async def stream(self) -> AsyncIterator[Any]:
        for chunk in self.first:
            yield chunk
        for _ in range(self.times):
            await asyncio.sleep(0.02)
            self.received += self.size
            if self.above is not None:
                yield self.above


async def report(_: Exception) -> None:
    """Nobody is told."""


async def read(protocol: Protocol, connection: Connection, *, known: bool = True, **settings: float) -> str:
    """Return how it ended within a second: in what words, or that it went on."""
    outcome = Outcome(protocol, Settings.model_validate(settings), Sighting("x"), report)
    received: Callable[[], int] = (lambda: connection.received) if known else int

    async def drain() -> None:
        async for _ in outcome.chunks(connection.stream(), received):
            pass

    try:
        await asyncio.wait_for(drain(), 1)
    except ProviderStreamError as error:
        return failure_of(error).message
    except TimeoutError:
        return "goes on"
    return "whole"


CHAT, MESSAGES = begun(Protocol.CHAT), begun(Protocol.MESSAGES)


async def test_a_providers_comments_are_life_although_no_chunk_comes_of_them() -> None:
    assert await read(Protocol.CHAT, Connection(CHAT, size=15), idle_timeout=0.1) == "goes on"


async def test_pings_of_litellms_own_are_none() -> None:
    assert "silent for 0.1 s" in await read(Protocol.MESSAGES, Connection(MESSAGES, above=PING), idle_timeout=0.1)


async def test_a_providers_pings_are_life() -> None:
    assert await read(Protocol.MESSAGES, Connection(MESSAGES, size=35, above=PING), idle_timeout=0.1) == "goes on"


async def test_where_the_connection_is_not_known_every_ping_is_life() -> None:
    connection = Connection(MESSAGES, above=PING)
    assert await read(Protocol.MESSAGES, connection, known=False, idle_timeout=0.1) == "goes on"


async def test_content_is_life_wherever_it_comes_from() -> None:
    connection = Connection(MESSAGES, above=MESSAGES[-1])
    assert await read(Protocol.MESSAGES, connection, idle_timeout=0.1) == "goes on"


@pytest.mark.parametrize(
    ("protocol", "connection"),
    [
        (Protocol.CHAT, Connection(CHAT, size=2)),
        (Protocol.MESSAGES, Connection(MESSAGES, size=2, above=PING)),
    ],
)
async def test_nothing_but_pings_ends_after_a_time_of_its_own(protocol: Protocol, connection: Connection) -> None:
    assert "nothing but pings for 0.2 s" in await read(protocol, connection, ping_timeout=0.2, idle_timeout=10)


async def test_by_default_pings_go_on_for_ever() -> None:
    assert await read(Protocol.MESSAGES, Connection(MESSAGES, size=2, above=PING), idle_timeout=5) == "goes on"


async def test_silence_is_no_ping() -> None:
    assert await read(Protocol.CHAT, Connection(CHAT), ping_timeout=0.1) == "goes on"


async def test_a_frame_of_megabytes_is_no_ping() -> None:
    assert await read(Protocol.CHAT, Connection(CHAT, size=65536), ping_timeout=0.1, idle_timeout=0.5) == "goes on"


async def test_a_stream_that_ends_leaves_no_timer() -> None:
    connection = Connection(whole(Protocol.MESSAGES), times=0)
    assert await read(Protocol.MESSAGES, connection, idle_timeout=60, ping_timeout=60) == "whole"
    loop: Any = asyncio.get_running_loop()
    assert not [handle for handle in loop._scheduled if not handle.cancelled() and "Vigil" in repr(handle)]


def test_a_ping_is_nothing_but_pings_and_comments() -> None:
    assert is_ping(PING)
    assert is_ping(b'event: ping\r\ndata: {"type":"ping"}\r\n\r\n')
    assert is_ping(": keep-alive\n\n")
    assert not is_ping(PING + MESSAGES[-1])
    assert not is_ping(b'data: {"type": "content_block_delta", "text": "event: ping"}\n\n')
    assert not is_ping({"type": "ping"})


async def test_an_agent_may_be_silent_while_it_works() -> None:
    """Ended, it would have failed behind LiteLLM's own "working", which comes before its model has been asked."""
    outcome = Outcome(Protocol.A2A, Settings(idle_timeout=0.1, ping_timeout=0.1), Sighting("x"), report)
    task = {"result": {"kind": "task"}}
    assert [chunk async for chunk in outcome.chunks(Connection([task]).stream())] == [task]
    assert outcome.rest is not None, "what comes behind the first event is watched"
