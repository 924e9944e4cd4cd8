"""Redis Cluster: all keys of one script share a hash slot, and the three masters share the keys of the proxy."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.exits.endings import ENDINGS
from tests.harness.clients import Admission
from tests.harness.keys import fresh_key
from tests.harness.redis_cluster import RedisCluster
from tests.harness.routes import ROUTES
from tests.harness.witness import gauge, lasting, settled

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.harness.clients import Caller

TRIED = ("complete", "plain", "cancel_mid", "cancel_before_first", "http500", "refused")


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisCluster]:
    started = RedisCluster(tmp_path_factory.mktemp("cluster"))
    yield started
    started.close()


@pytest.fixture
def on_cluster(shared: Callable[..., Caller], cluster: RedisCluster) -> Caller:
    return shared(redis_port=None, settings=cluster.settings)


async def test_slots_come_back_on_a_cluster_of_three(on_cluster: Caller, cluster: RedisCluster) -> None:
    nodes_used: set[int] = set()
    while len(nodes_used) < 2:
        key = fresh_key(cap=4)
        async with on_cluster.holding(key, 4):
            assert gauge(cluster.client, key) == 4
            nodes_used.add(cluster.port_of(key))
        for ending in TRIED:
            for route in ("chat", "messages", "pass_custom"):
                await ENDINGS[ending](on_cluster, ROUTES[route], key)
        left = await settled(lambda key=key: gauge(cluster.client, key), 0)  # type: ignore[misc]
        assert (left, await on_cluster.admitted_at_once(key, cap=4)) == (0, Admission(4, 2))
        assert lasting(cluster.client, key) == []
