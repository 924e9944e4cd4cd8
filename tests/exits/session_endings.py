"""The ways a session over WebSocket can end, each checked to have ended that way."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace

from tests.harness.clients import Caller
from tests.harness.keys import Key
from tests.harness.provider.sockets import REFUSED_MODELS
from tests.harness.routes import SocketRoute
from tests.harness.sessions import session

SessionEnding = Callable[[Caller, SocketRoute, Key], Awaitable[None]]


async def complete(caller: Caller, route: SocketRoute, key: Key) -> None:
    """Two turns, and the client says goodbye."""
    script = caller.script()
    async with session(caller, route, key) as held:
        for _ in range(2):
            await held.turn(script)
            held.events.clear()
    counts = await caller.provider.wait(script.run, open=0)
    assert (counts.total, counts.answered) == (1, 1), counts


async def cancel_mid(caller: Caller, route: SocketRoute, key: Key) -> None:
    """The client vanishes in the middle of a turn."""
    script = replace(caller.script(), stall="2")
    async with session(caller, route, key) as held:
        await held.ask(script)
        await held.read_chunks(2)
        held.vanish()
    await caller.provider.wait(script.run, open=0, hung_up=1)


async def goodbye_mid(caller: Caller, route: SocketRoute, key: Key) -> None:
    """The client closes in the middle of a turn."""
    script = replace(caller.script(), stall="2")
    async with session(caller, route, key) as held:
        await held.ask(script)
        await held.read_chunks(2)
    await caller.provider.wait(script.run, open=0, hung_up=1)


async def goodbye_idle(caller: Caller, route: SocketRoute, key: Key) -> None:
    """The client closes before it has asked for anything."""
    async with session(caller, route, key) as held:
        await held.read_until("session.created")


async def mid429(caller: Caller, route: SocketRoute, key: Key) -> None:
    """The provider sends an error event in the middle of a turn, and the session stays open."""
    script = replace(caller.script(), error_step=2)
    async with session(caller, route, key) as held:
        await held.ask(script)
        await held.read_until('"error"')
        assert "word1" in held.text, held.text
    await caller.provider.wait(script.run, open=0)


async def midreset(caller: Caller, route: SocketRoute, key: Key) -> None:
    await _broken_off(caller, route, key, "reset")


async def provider_closes(caller: Caller, route: SocketRoute, key: Key) -> None:
    await _broken_off(caller, route, key, "end")


async def http429(caller: Caller, route: SocketRoute, key: Key) -> None:
    await _refused_by_provider(caller, route, key, "refused-429")


async def http500(caller: Caller, route: SocketRoute, key: Key) -> None:
    await _refused_by_provider(caller, route, key, "refused-500")


async def refused(caller: Caller, route: SocketRoute, key: Key) -> None:
    """By the limiter, because the cap is reached."""
    assert key.cap is not None
    script = caller.script()
    async with caller.holding(key, key.cap), session(caller, route, key) as held:
        await held.ask_in_vain(script)
    assert (held.over, (await caller.provider.counts(script.run)).total) == (True, 0), held.text
    # 1.80 closes without a word (proxy_server.py).
    assert "max_parallel_requests" in held.text or not caller.proxy.setup.version.at_least(1, 83), held.text


async def guardrail_before(caller: Caller, route: SocketRoute, key: Key) -> None:
    await _refused_by_proxy(caller, route, key, "before")


async def guardrail_after(caller: Caller, route: SocketRoute, key: Key) -> None:
    await _refused_by_proxy(caller, route, key, "after")


async def guardrail_fault(caller: Caller, route: SocketRoute, key: Key) -> None:
    await _refused_by_proxy(caller, route, key, "after_fault")


async def cancelled_in_redis(caller: Caller, route: SocketRoute, key: Key) -> None:
    await _refused_by_proxy(caller, route, key, "cancel_in_redis")


async def _broken_off(caller: Caller, route: SocketRoute, key: Key, how: str) -> None:
    """By the provider; some versions go on waiting for the client, who then leaves."""
    script = replace(caller.script(), stall="2", break_step=2, break_by=how)  # type: ignore[arg-type]
    async with session(caller, route, key) as held:
        await held.ask(script)
        await held.read_chunks(2)
        await caller.provider.release(script.run)
        await caller.provider.wait(script.run, open=0)
    assert "word2" not in held.text


async def _refused_by_provider(caller: Caller, route: SocketRoute, key: Key, model: str) -> None:
    assert model in REFUSED_MODELS
    before = (await caller.provider.counts(model)).total
    async with session(caller, route, key, model=model) as held:
        await held.ask_in_vain(caller.script())
    assert (held.over, (await caller.provider.counts(model)).total > before) == (True, True), held.text


async def _refused_by_proxy(caller: Caller, route: SocketRoute, key: Key, when: str) -> None:
    script = replace(caller.script(), proxy=when)
    async with session(caller, route, key, ordered=str(script)) as held:
        await held.ask_in_vain(script)
    assert (held.over, (await caller.provider.counts(script.run)).total) == (True, 0), held.text


SESSION_ENDINGS: dict[str, SessionEnding] = {
    play.__name__: play
    for play in (
        complete,
        cancel_mid,
        goodbye_mid,
        goodbye_idle,
        mid429,
        midreset,
        provider_closes,
        http429,
        http500,
        refused,
        guardrail_before,
        guardrail_after,
        guardrail_fault,
        cancelled_in_redis,
    )
}
