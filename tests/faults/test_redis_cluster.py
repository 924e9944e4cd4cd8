"""One of three masters is away: the keys it counts are counted by each worker alone, the others as ever."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from tests.faults.open_streams import LEASE_SECONDS, held
from tests.faults.test_redis_away import AWAY, BACK, CHAT
from tests.harness.keys import fresh_key
from tests.harness.redis_cluster import RedisCluster
from tests.harness.witness import gauge, settled, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.harness.clients import Caller
    from tests.harness.keys import Key


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisCluster]:
    started = RedisCluster(tmp_path_factory.mktemp("cluster"))
    yield started
    started.close()


@pytest.fixture
def on_cluster(start: Callable[..., Caller], cluster: RedisCluster) -> Caller:
    return start(redis_port=None, settings=cluster.settings)


def on_another(cluster: RedisCluster, port: int) -> Key:
    """A key that another master counts."""
    while cluster.port_of(key := fresh_key(cap=4)) == port:
        pass
    return key


@pytest.mark.parametrize("freezes", [True, False], ids=["frozen", "stopped"])
async def test_only_the_keys_of_the_node_that_is_away_are_counted_here(
    on_cluster: Caller, cluster: RedisCluster, key: Key, freezes: bool
) -> None:
    client: Any = cluster.client
    port = cluster.port_of(key)
    other = on_another(cluster, port)
    async with held(on_cluster, key, 2) as lost, held(on_cluster, other, 2) as counted:
        (cluster.pause if freezes else cluster.stop)(port)
        try:
            assert await on_cluster.admitted_at_once(key, cap=2) == (2, 2)
            await wait_until(lambda: AWAY in on_cluster.proxy.text(), "it is noticed")
            async with held(on_cluster, other, 2):
                assert gauge(client, other) == 4
                assert (await on_cluster.plain(CHAT, other)).status == 429
            await asyncio.sleep(LEASE_SECONDS + 1)
            assert gauge(client, other) == 2
        finally:
            await asyncio.to_thread(cluster.resume if freezes else cluster.start, port)
        assert await settled(lambda: gauge(client, key), 2, within=LEASE_SECONDS / 3 + 1) == 2
        assert await lost.finish() == await counted.finish() == [True] * 2
    for each in (key, other):
        assert await settled(lambda each=each: gauge(client, each), 0) == 0  # type: ignore[misc]
        assert await on_cluster.admitted_at_once(each, cap=4) == (4, 2)
    said = on_cluster.proxy.text()
    assert (said.count(f"{AWAY} at 127.0.0.1:{port}"), said.count(AWAY), said.count(BACK)) == (1, 1, 1)
