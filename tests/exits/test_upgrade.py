"""A rolling upgrade from LiteLLM 1.93: a worker before and a worker after it on one Redis, whichever comes first.

LiteLLM's own key is a number in the one and a sorted set in the other: what the one has written is an error to the
other, and LiteLLM alone then counts in each process.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from itertools import cycle
from typing import TYPE_CHECKING

import pytest

from tests.harness.keys import fresh_key
from tests.harness.routes import ROUTES
from tests.harness.versions import named
from tests.harness.witness import gauge, lasting, settled

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.harness.clients import Caller
    from tests.harness.keys import Key
    from tests.harness.provider.script import Script
    from tests.harness.redis_server import RedisServer
    from tests.harness.versions import Version

CAP, CLIENTS = 4, 16
_SECONDS = 2.0
_BOTH = "LiteLLM 1.94 or newer and of an older one share this Redis"

pytestmark = [pytest.mark.thorough, pytest.mark.parametrize("first", ["older", "newer"])]


@pytest.fixture
def sides(shared: Callable[..., Caller], litellm_version: Version) -> dict[str, Caller]:
    """A worker of the last LiteLLM that counted, and one of a LiteLLM that keeps slots."""
    newer = litellm_version if litellm_version.at_least(1, 94) else named("1.94.3")
    return {"older": shared(version=named("1.93.2")), "newer": shared(version=newer)}


async def _keep_asking(caller: Caller, key: Key, script: Script, over: asyncio.Event) -> list[int]:
    """One request after the other; returns their statuses."""
    statuses, routes = [], cycle((ROUTES["chat"], ROUTES["messages"]))
    while not over.is_set():
        statuses.append((await caller.streamed(next(routes), key, script)).status)
    return statuses


async def _rolls_out(order: list[Caller], key: Key, clients: int) -> tuple[int, list[int]]:
    """The first alone, then both, then the second alone; returns the most at the provider, and all statuses."""
    # Nothing behind the last chunk: a slot is back at the terminal event, and a provider that lingers there counts too.
    script = replace(order[0].script(), chunks=4, delay=0.4)
    overs = [asyncio.Event() for _ in order]
    asking = []
    for caller, over in zip(order, overs, strict=True):
        asking += [asyncio.create_task(_keep_asking(caller, key, script, over)) for _ in range(clients // 2)]
        await asyncio.sleep(_SECONDS)
    for over in overs:
        over.set()
        await asyncio.sleep(_SECONDS / 2)
    statuses = [status for statuses in await asyncio.gather(*asking) for status in statuses]
    return (await order[0].provider.counts(script.run)).peak, statuses


async def test_the_cap_holds_across_both_and_no_request_fails(
    sides: dict[str, Caller], first: str, redis_server: RedisServer
) -> None:
    order = [sides[first], *(caller for name, caller in sides.items() if name != first)]
    key = fresh_key(cap=CAP, rpm=1_000_000)
    peak, statuses = await _rolls_out(order, key, CLIENTS)

    away = [line for caller in order for line in caller.proxy.text().splitlines() if "cannot count slots" in line]
    assert (peak, set(statuses), away) == (CAP, {200, 429}, [])
    assert await settled(lambda: gauge(redis_server.client, key), 0) == 0
    assert lasting(redis_server.client, key) == []
    assert any(_BOTH in caller.proxy.text() for caller in order)


async def test_none_is_refused_below_the_cap(sides: dict[str, Caller], first: str) -> None:
    order = [sides[first], *(caller for name, caller in sides.items() if name != first)]
    _, statuses = await _rolls_out(order, fresh_key(cap=CAP), CAP)
    assert set(statuses) == {200}
