"""What has happened, without Prometheus: as the command line tells it of a real proxy."""

from __future__ import annotations

import asyncio
import dataclasses
import time
from typing import TYPE_CHECKING, Any

import pytest

from litellm_cancel_guard.lease.counters import COUNTERS
from tests.cli.command import asked, guard
from tests.harness.process import LOOPBACK
from tests.harness.routes import ROUTES
from tests.harness.witness import wait_until
from tests.operator.admins import ON

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.harness.clients import Caller
    from tests.harness.config import Setup
    from tests.harness.keys import Key
    from tests.harness.proxy import Proxies, Proxy
    from tests.harness.redis_server import RedisServer


@pytest.fixture
def ours(proxies: Proxies, setup: Setup) -> Proxy:
    """The proxy of test_kill.py."""
    return proxies.shared(dataclasses.replace(setup, **ON))


async def test_a_day_is_told_in_a_few_counts(
    ours: Proxy, call_on: Callable[[Proxy], Caller], key: Key, redis_server: RedisServer
) -> None:
    caller, redis = call_on(ours), f"redis://{LOOPBACK}:{redis_server.port}"

    def told() -> Any:
        return asked("stats", "--since", "2h", "--redis", redis)

    before = await asyncio.to_thread(told)
    assert await caller.admitted_at_once(key, cap=4) == (4, 2)
    await caller.hang_up_mid(ROUTES["chat"], key)

    async def added() -> bool:
        now = await asyncio.to_thread(told)
        counted = {name: now[name] - before[name] for name in COUNTERS}
        return counted == dict.fromkeys(COUNTERS, 0) | {
            "admitted": 5,
            "refused": 2,
            "client_left": 1,
            "unfinished": 1,
        }

    await wait_until(added, "what happened has been added", within=20, every=0.5)
    now = await asyncio.to_thread(told)
    assert sum(hour["admitted"] for hour in now["hours"]) == now["admitted"]
    assert now["hours"][-1]["hour"] == time.strftime("%Y-%m-%dT%H:00Z", time.gmtime())
    shown = (await asyncio.to_thread(guard, "stats", "--redis", redis)).stdout
    assert all(text in shown for text in COUNTERS.values())


@pytest.mark.parametrize("since", ["", "9d", "0h", "1y", "-1h", "24"])
def test_a_time_that_is_none_is_refused_with_one_that_is(since: str) -> None:
    done = guard("stats", "--since", since, "--redis", "redis://127.0.0.1:1")
    assert (done.returncode, "such as 30m, 24h or 7d" in done.stderr) == (2, True), done
