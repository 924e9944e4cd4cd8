"""What is still open when a server is about to cut it ends in an error of its protocol, which says to ask again."""

from __future__ import annotations

import asyncio
import signal
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tests.harness import venvs
from tests.harness.keys import fresh_key
from tests.harness.routes import ROUTES
from tests.harness.witness import gauge, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.harness.clients import Caller
    from tests.harness.config import Setup
    from tests.harness.keys import Key
    from tests.harness.redis_server import RedisServer
    from tests.harness.routes import Route

SAYS = "The proxy is being restarted"
LONG_LEASE = ("CANCEL_GUARD_LEASE_SECONDS", "3600")
# LiteLLM up to 1.104 gives its server no time to cut in, and the operator says when.
IN_ONE_SECOND = ("CANCEL_GUARD_DRAIN_SECONDS", "1")
FOUR_SECONDS = ("GRACEFUL_SHUTDOWN_TIMEOUT", "4")
PROTOCOLS = {"chat": '"503"', "text": '"503"', "messages": "event: error", "responses": "response.failed"}


def drain(setup: Setup, server: str) -> tuple[tuple[str, str], ...]:
    """When it is ended: granian, too, gives its requests all the time that they need."""
    by_the_server = server != "granian" and setup.version.at_least(1, 105)
    return (LONG_LEASE, FOUR_SECONDS) if by_the_server else (LONG_LEASE, IN_ONE_SECOND)


@pytest.mark.parametrize("server", ["uvicorn", "gunicorn", "hypercorn", "granian"])
async def test_streams_end_in_an_error_and_what_waits_is_answered_503(
    start: Callable[..., Caller], setup: Setup, redis_server: RedisServer, server: str
) -> None:
    if server == "granian" and not setup.version.at_least(1, 87):
        pytest.skip(f"LiteLLM {setup.version} has no --run_granian")
    venvs.add_program(setup.version, server)
    caller = start(env=drain(setup, server), arguments=() if server == "uvicorn" else (f"--run_{server}",))
    key, free = fresh_key(cap=8), fresh_key(cap=None)
    script = replace(caller.script(), stall="2")
    waits = replace(caller.script(), stall="headers")
    streams = {
        (name, each): asyncio.create_task(stream_of(caller, ROUTES[name], each, script))
        for name in PROTOCOLS
        for each in (key, free)
    }
    plain = asyncio.create_task(caller.plain(ROUTES["chat"], key, waits))
    await caller.provider.wait(script.run, stalled=len(streams))
    await caller.provider.wait(waits.run, stalled=1)
    assert gauge(redis_server.client, key) == len(PROTOCOLS) + 1
    for pid in caller.proxy.workers:
        caller.proxy.send(signal.SIGTERM, pid)
    for (name, each), stream in streams.items():
        text = await asyncio.wait_for(stream, 15)
        assert (SAYS in text, PROTOCOLS[name] in text) == (True, True), f"{name} {each}: {text[-400:]}"
    answer = await asyncio.wait_for(plain, 15)
    assert (answer.status, SAYS in answer.text, answer.headers.get("retry-after")) == (503, True, "1"), answer.text
    await wait_until(lambda: gauge(redis_server.client, key) == 0, "the slots are free", within=5)
    await caller.provider.hung_up(script.run, within=5)


async def test_granian_lets_its_streams_end_by_themselves_and_then_every_slot_is_back(
    start: Callable[..., Caller], setup: Setup, redis_server: RedisServer
) -> None:
    """With no time set by the operator it is told to end as its supervisor tells it: the one that was started."""
    if not setup.version.at_least(1, 87):
        pytest.skip(f"LiteLLM {setup.version} has no --run_granian")
    venvs.add_program(setup.version, "granian")
    caller = start(env=(LONG_LEASE,), arguments=("--run_granian",))
    key, script = fresh_key(cap=8), replace(caller.script(), stall="2")
    streams = {
        name: asyncio.create_task(stream_of(caller, ROUTES[name], key, script))
        for name in (*PROTOCOLS, "pass_anthropic")
    }
    await caller.provider.wait(script.run, stalled=len(streams))
    caller.proxy.send(signal.SIGTERM)
    await wait_until(lambda: "Shutting down granian" in caller.proxy.text(), "it is told", within=10)
    held = gauge(redis_server.client, key)
    await caller.provider.release(script.run)
    for name, stream in streams.items():
        text = await asyncio.wait_for(stream, 15)
        assert (SAYS in text, ROUTES[name].terminal in text) == (False, True), f"{name}: {text[-400:]}"
    await wait_until(lambda: not caller.proxy.alive, "it has ended", within=15)
    assert (held, gauge(redis_server.client, key)) == (len(streams), 0)


async def stream_of(caller: Caller, route: Route, key: Key, script: object) -> str:
    async with caller.opened(route, key, script) as stream:  # type: ignore[arg-type]
        assert stream.status == 200
        await stream.read_rest()
        return stream.text
