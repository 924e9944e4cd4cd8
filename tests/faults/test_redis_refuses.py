"""A Redis that answers and refuses to write is away for as long as it does: one line at each end, and no error.

One whose memory is full is not away: each script first drops what has lapsed, and a script that has written may go on.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.faults.open_streams import LEASE_SECONDS, held
from tests.faults.test_redis_away import AWAY, BACK, at_rest
from tests.harness.process import free_port
from tests.harness.routes import ROUTES
from tests.harness.witness import gauge, settled, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from tests.harness.clients import Caller
    from tests.harness.keys import Key
    from tests.harness.redis_server import RedisServer

pytestmark = pytest.mark.more

BEAT_SECONDS = LEASE_SECONDS / 3


class Refusal:
    """Why Redis writes nothing, and the end of it."""

    outages = 1

    def __init__(self, server: RedisServer) -> None:
        self.redis: Any = server.client

    def begin(self) -> None: ...

    def end(self) -> None: ...


class Full(Refusal):
    """OOM: no more memory, and nothing may be evicted."""

    outages = 0

    def begin(self) -> None:
        self.redis.config_set("maxmemory", 1)

    def end(self) -> None:
        self.redis.config_set("maxmemory", 0)


class Replica(Refusal):
    """READONLY: a failover made it one, and the connections stayed."""

    def begin(self) -> None:
        self.redis.replicaof("127.0.0.1", free_port())

    def end(self) -> None:
        self.redis.replicaof("no", "one")


class Alone(Refusal):
    """NOREPLICAS: it lost those that it must have."""

    def begin(self) -> None:
        self.redis.config_set("min-replicas-to-write", 1)

    def end(self) -> None:
        self.redis.config_set("min-replicas-to-write", 0)


class Unsaved(Refusal):
    """MISCONF: its last snapshot could not be written to disk."""

    def begin(self) -> None:
        self._in_the_way().mkdir()
        self.redis.config_set("save", "3600 1")
        self.redis.bgsave()

    def end(self) -> None:
        self.redis.config_set("save", "")
        if self._in_the_way().exists():
            self._in_the_way().rmdir()

    def _in_the_way(self) -> Path:
        return Path(self.redis.config_get("dir")["dir"], "dump.rdb")


@pytest.fixture(params=[Full, Replica, Alone, Unsaved], ids=lambda refusal: refusal.__name__)
def refusal(request: pytest.FixtureRequest, redis_server: RedisServer) -> Iterator[Refusal]:
    refusal = request.param(redis_server)
    yield refusal
    refusal.end()


async def test_it_is_one_outage_and_afterwards_everything_is_counted(
    caller: Caller, key: Key, redis_server: RedisServer, refusal: Refusal
) -> None:
    before = len(caller.proxy.text())
    async with held(caller, key, 2) as streams:
        refusal.begin()
        for _ in range(int(LEASE_SECONDS)):
            assert (await caller.plain(ROUTES["chat"], key)).status == 200
            await asyncio.sleep(BEAT_SECONDS)
        refusal.end()
        assert await settled(lambda: gauge(redis_server.client, key), 2, within=BEAT_SECONDS + 1) == 2
        assert await streams.finish() == [True] * 2
    await at_rest(caller, key, redis_server)
    said = caller.proxy.text()[before:]
    assert (said.count(AWAY), said.count(BACK)) == (refusal.outages, refusal.outages)


async def test_with_nothing_held_it_is_one_outage_too(caller: Caller, key: Key, refusal: Refusal) -> None:
    before = len(caller.proxy.text())
    refusal.begin()
    for _ in range(3):
        assert (await caller.plain(ROUTES["chat"], key)).status == 200
        await asyncio.sleep(BEAT_SECONDS * 1.5)
    refusal.end()
    await wait_until(lambda: caller.proxy.text()[before:].count(BACK) == refusal.outages, "it writes again")
    await asyncio.sleep(BEAT_SECONDS)
    said = caller.proxy.text()[before:]
    assert (said.count(AWAY), said.count(BACK)) == (refusal.outages, refusal.outages)
