"""The stream that never ended (#26015): without the guard the process must be killed, with it nobody notices."""

from __future__ import annotations

import asyncio
import secrets
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.harness.keys import fresh_key
from tests.harness.process import Process
from tests.harness.provider.script import Script
from tests.harness.witness import gauge, settled
from tests.terminal.cells import FAILURES, PROVIDERS, Cell
from tests.terminal.pulse import pulse
from tests.terminal.sdks import ask

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.harness.config import Setup
    from tests.harness.keys import Key
    from tests.harness.proxy import Proxy
    from tests.harness.redis_server import RedisServer
    from tests.terminal.sdks import Outcome

AT_ONCE = 50
SPINNING = [failure for failure in FAILURES.values() if failure.spins]
LATE_SECONDS = 1.0


async def alive(url: str, within: float) -> float | None:
    """Seconds until the proxy says that it is alive; None if it doesn't in time."""
    begun = time.monotonic()
    try:
        async with httpx.AsyncClient(timeout=within, trust_env=False) as client:
            answer = await client.get(f"{url}/health/liveliness")
    except httpx.TimeoutException:
        return None
    return time.monotonic() - begun if answer.status_code == 200 else None


def cpu_seconds(pid: int) -> float:
    """Processor time of a process and of those it has started."""
    used = 0.0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if pid in (int(stat.parent.name), int(fields[1])):
            used += (int(fields[11]) + int(fields[12])) / 100
    return used


async def all_at_once(proxy: Proxy, key: Key, texts: list[tuple[str, str]]) -> tuple[list[Outcome], float]:
    """What fifty programs got, and how long it took the proxy at most to say that it is alive, to the end and after."""
    with pulse(proxy.url) as seconds:
        asked = (ask("chat", proxy.url, key.secret, model, text, within=60) for model, text in texts)
        outcomes = await asyncio.gather(*asked)
        await asyncio.sleep(0.5)
    return list(outcomes), max(seconds)


@pytest.mark.timeout(180)
async def test_fifty_streams_that_would_spin_end_and_the_loop_serves_others(
    failing_proxy: Proxy, redis_server: RedisServer
) -> None:
    key = fresh_key(cap=AT_ONCE)
    cells = [
        Cell("chat", PROVIDERS[name], SPINNING[index % len(SPINNING)])
        for index, name in enumerate(["gemini", "vertex"] * (AT_ONCE // 2))
    ]
    whole = [(cell.model, str(Script(secrets.token_hex(6), chunks=5))) for cell in cells]
    spinning = [(cell.model, cell.text(secrets.token_hex(6))) for cell in cells]

    _, healthy_late = await all_at_once(failing_proxy, key, whole)
    outcomes, late = await all_at_once(failing_proxy, key, spinning)
    before = cpu_seconds(failing_proxy.pid)
    await asyncio.sleep(2)
    idle = cpu_seconds(failing_proxy.pid) - before

    assert [f"{cell}: {outcome}" for cell, outcome in zip(cells, outcomes, strict=True) if not outcome.raised] == []
    assert {outcome.raised for outcome in outcomes} <= {"APIError", "RateLimitError"}
    # On a busy machine fifty whole answers take their time as well.
    assert late < max(LATE_SECONDS, 2 * healthy_late)
    assert idle < 0.5
    assert await settled(lambda: gauge(redis_server.client, key), 0) == 0


@pytest.mark.timeout(180)
async def test_without_the_guard_the_process_must_be_killed(start: Callable[..., Proxy], failing: Setup) -> None:
    """One program that asks once stops the whole worker: no liveness, no SIGTERM."""
    if not failing.version.spins:
        pytest.skip(f"{failing.version} ends such a stream in silence")
    bare = start(guarded=False)
    cell = Cell("chat", PROVIDERS["gemini"], FAILURES["html429"])

    outcome = await ask("chat", bare.url, fresh_key(cap=None).secret, cell.model, cell.text("spin"), within=3)

    process = next(process for process in Process.running if process.pid == bare.pid)
    before = cpu_seconds(bare.pid)
    assert (outcome.raised, await alive(bare.url, 3)) == ("hang", None)
    assert cpu_seconds(bare.pid) - before > 0.5
    process.signal(signal.SIGTERM)
    await asyncio.sleep(3)
    assert process.alive, "it has heard SIGTERM"
    process.kill()
