"""A cluster grows: a hash slot goes to a node that no client has heard of, and its keys are counted all the while."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import anyio
import pytest
import redis.asyncio as aioredis

from litellm_cancel_guard.gauge.redis import RedisGauge
from litellm_cancel_guard.lease.lease import Admission, Lease
from tests.gauge.stores import LAYOUTS
from tests.harness.process import LOOPBACK
from tests.harness.redis_cluster import Move, RedisCluster

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisCluster]:
    started = RedisCluster(tmp_path_factory.mktemp("growing"))
    yield started
    started.close()


@pytest.fixture
async def client(cluster: RedisCluster) -> AsyncIterator[Any]:
    client = aioredis.RedisCluster(host=LOOPBACK, port=cluster.ports[0])
    await client.initialize()
    yield client
    await client.aclose()


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    """A gauge's, and so its hash slot's, for each test: a master whose only slot goes becomes a replica."""
    return f"api_key:{request.node.name}"


@pytest.fixture
def abc(name: str) -> list[Lease]:
    return [Lease(name, each) for each in "abc"]


@pytest.fixture
def move(cluster: RedisCluster, client: Any, name: str) -> Iterator[Move]:
    """Of the hash slot of the gauge's keys, to a new node."""
    source = client.get_node_from_key(f"{{{name}}}").port
    move = Move(client.keyslot(f"{{{name}}}"), source, cluster.add_master())
    yield move
    move.end()


def gauge_of(client: Any, layout: str) -> RedisGauge:
    return RedisGauge(lambda: client, LAYOUTS[layout], lease_seconds=30, timeout_seconds=5)


@pytest.mark.timeout(120)
async def test_what_has_gone_ahead_is_counted_where_it_is(client: Any, move: Move, abc: list[Lease]) -> None:
    gauge, (a, b, c) = gauge_of(client, "slots"), abc
    move.begin()
    # Of no key yet: where the slot goes to is where it begins.
    assert await gauge.acquire(a, 2) == Admission(True, 1)
    assert await gauge.acquire(b, 2) == Admission(True, 2)

    assert not (await gauge.acquire(c, 2)).admitted
    assert await gauge.renew([a, b, c]) == {c}
    assert await gauge.hold([(c, 2), (a, 2)]) == [False, True]
    assert await gauge.count(a.gauge) == 2
    assert {name for name, _ in await gauge.slots(a.gauge)} == {"a", "b"}
    assert await gauge.release(b) == 1
    move.end()
    assert await gauge.renew([a, b]) == {b}
    assert await gauge.release(a) == 0


@pytest.mark.timeout(120)
async def test_where_eval_is_refused_a_script_is_loaded_where_the_slot_goes_to(
    cluster: RedisCluster, move: Move, abc: list[Lease]
) -> None:
    """The refusal comes first, before the node has looked where the key is: no client is sent on to load it there."""
    a, b, _ = abc
    cluster.each_node("ACL", "SETUSER", "by_sha", "on", ">secret", "~*", "&*", "+@all", "-eval")
    client: Any = aioredis.RedisCluster(host=LOOPBACK, port=cluster.ports[0], username="by_sha", password="secret")
    async with client:
        gauge = gauge_of(client, "slots")
        move.begin()
        assert await gauge.acquire(a, 2) == Admission(True, 1)
        assert await gauge.renew([a, b]) == {b}
        assert await gauge.count(a.gauge) == 1
        move.end()
        assert await gauge.release(a) == 0


@pytest.mark.timeout(120)
async def test_a_renewal_on_several_nodes_reaches_what_has_gone_ahead(
    client: Any, move: Move, abc: list[Lease]
) -> None:
    gauge, (a, b, _) = gauge_of(client, "slots"), abc
    others = [Lease(f"api_key:{number}", "other") for number in range(9)]
    for lease in (a, *others):
        await gauge.acquire(lease, 1)
    move.begin()
    move.carry_keys()

    assert await gauge.renew([a, *others, b]) == {b}
    move.end()
    for lease in (a, *others):
        assert await gauge.release(lease) == 0


@pytest.mark.timeout(120)
async def test_keys_of_which_some_have_gone_ahead_are_waited_for(client: Any, move: Move, abc: list[Lease]) -> None:
    """Neither node answers for the six keys that are asked for together: until the slot has arrived, both say so."""
    gauge, (a, b, _) = gauge_of(client, "counted"), abc
    assert await gauge.acquire(a, 2) == Admission(True, 1)
    move.begin()
    asked = [gauge.acquire(b, 2), gauge.renew([a]), gauge.count(a.gauge)]
    waiting: list[asyncio.Task[Any]] = [asyncio.ensure_future(each) for each in asked]
    with anyio.fail_after(10):
        while not await _said_to_try_again(client, a.gauge):  # noqa: ASYNC110 - Redis counts, and tells nobody
            await anyio.sleep(0.01)
    assert not any(each.done() for each in waiting)
    move.carry_keys()
    move.end()

    admitted, lost, _ = await asyncio.gather(*waiting)
    assert (admitted.admitted, lost) == (True, set())
    assert [await gauge.release(lease) for lease in (a, b)] == [1, 0]


async def _said_to_try_again(client: Any, name: str) -> bool:
    stats = await client.info("errorstats", target_nodes=client.get_node_from_key(f"{{{name}}}"))
    return bool(stats.get("errorstat_TRYAGAIN", {}).get("count", 0) >= 3)
