from __future__ import annotations

import os
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import fakeredis
import pytest
import redis
import redis.asyncio as aioredis

from litellm_cancel_guard.gauge.local import LocalGauge
from tests.gauge.stalled import SOON, Worker, left_in
from tests.gauge.steps import STEPS
from tests.gauge.stores import GAUGE, LAYOUTS, Store, start_cluster_node
from tests.harness.process import LOOPBACK
from tests.harness.redis_server import RedisServer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

    from litellm_cancel_guard.gauge import Gauge
    from litellm_cancel_guard.gauge.redis import RedisGauge

STORES = ["fake", "redis", "redis-text", "cluster"]


@pytest.fixture(scope="session")
def gauge_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """A server of our own: these tests empty it."""
    server = RedisServer(tmp_path_factory.mktemp("gauge-redis"))
    yield server
    server.close()


@pytest.fixture(scope="session")
def _cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    process, port = start_cluster_node(tmp_path_factory.mktemp("gauge-cluster"), os.environ)
    yield port
    process.stop()


@pytest.fixture
def cluster_port(_cluster: int) -> int:
    """Of a cluster of one node, which is empty."""
    with redis.Redis(host=LOOPBACK, port=_cluster) as witness:
        witness.flushall()
    return _cluster


def _clients(kind: str, request: pytest.FixtureRequest) -> tuple[Any, Any]:
    if kind == "fake":
        fake = fakeredis.FakeServer()
        return fakeredis.FakeAsyncRedis(server=fake), fakeredis.FakeAsyncRedis(server=fake, decode_responses=True)
    if kind == "cluster":
        port = request.getfixturevalue("cluster_port")
        witness = aioredis.Redis(host=LOOPBACK, port=port, decode_responses=True)
        return aioredis.RedisCluster(host=LOOPBACK, port=port), witness
    port = request.getfixturevalue("gauge_redis").port
    witness = aioredis.Redis(host=LOOPBACK, port=port, decode_responses=True)
    return aioredis.Redis(host=LOOPBACK, port=port, decode_responses=kind == "redis-text"), witness


@pytest.fixture(params=STORES)
async def store(request: pytest.FixtureRequest) -> AsyncIterator[Store]:
    """An empty Redis of each kind; whatever a test leaves in it must expire."""
    client, witness = _clients(request.param, request)
    await witness.flushall()
    store = Store(client, witness)
    yield store
    eternal = await store.eternal_keys()
    await client.aclose()
    await witness.aclose()
    assert eternal == []


@pytest.fixture
async def real(gauge_redis: RedisServer) -> AsyncIterator[Store]:
    """An empty real Redis, whose configuration a test may change."""
    client = aioredis.Redis(host=LOOPBACK, port=gauge_redis.port)
    witness = aioredis.Redis(host=LOOPBACK, port=gauge_redis.port, decode_responses=True)
    await witness.flushall()
    yield Store(client, witness)
    await client.aclose()
    await witness.aclose()


@pytest.fixture(params=list(LAYOUTS))
def layout(request: pytest.FixtureRequest) -> str:
    """Both layouts, by name."""
    name: str = request.param
    return name


@pytest.fixture(params=["local", *(f"{layout}-{kind}" for layout in LAYOUTS for kind in STORES)])
async def gauge(request: pytest.FixtureRequest) -> AsyncIterator[Gauge]:
    """Every gauge there is, empty; afterwards the world must agree with its count, and every key must expire."""
    if request.param == "local":
        local = LocalGauge()
        yield local
        assert all(local._held.values())
        return
    layout, _, kind = request.param.partition("-")
    client, witness = _clients(kind, request)
    await witness.flushall()
    store = Store(client, witness)
    redis_gauge = store.gauge(layout)
    yield redis_gauge
    eternal = await store.eternal_keys()
    seen, counted = await store.in_flight(layout), await redis_gauge.count(GAUGE)
    await client.aclose()
    await witness.aclose()
    assert (eternal, seen) == ([], counted)


@pytest.fixture(params=list(STEPS))
def step(request: pytest.FixtureRequest) -> Callable[[RedisGauge], Awaitable[object]]:
    return STEPS[request.param]


@asynccontextmanager
async def _as_user(real: Store, server: RedisServer, name: str, *rights: str) -> AsyncIterator[Store]:
    await real.witness.execute_command("ACL", "SETUSER", name, "on", ">secret", "~*", "&*", "+@all", *rights)
    client = aioredis.Redis(host=LOOPBACK, port=server.port, username=name, password="secret")
    yield Store(client, real.witness)
    await client.aclose()
    await real.witness.execute_command("ACL", "DELUSER", name)


@pytest.fixture
async def without_evalsha(real: Store, gauge_redis: RedisServer) -> AsyncIterator[Store]:
    """A user who may run no EVALSHA and no SCRIPT, as behind some proxies and managed services."""
    async with _as_user(real, gauge_redis, "plain", "-evalsha", "-script") as store:
        yield store


@pytest.fixture
async def without_eval(real: Store, gauge_redis: RedisServer) -> AsyncIterator[Store]:
    """A user who may run scripts by their SHA alone, as redis-py's own scripts do, and so LiteLLM's."""
    async with _as_user(real, gauge_redis, "by_sha", "-eval") as store:
        yield store


@pytest.fixture
async def worker_of(gauge_redis: RedisServer) -> AsyncIterator[Callable[..., Worker]]:
    gauge_redis.client.flushall()
    workers: list[Worker] = []

    def make(*args: Any, **settings: Any) -> Worker:
        workers.append(Worker(gauge_redis.port, *args, **settings))
        return workers[-1]

    yield make
    for worker in workers:
        worker.may_ask.set()
        thread = worker.ledger.stand_in._thread
        await worker.ledger.give_back()
        await worker.client.aclose()
        if thread is not None:
            thread.join(SOON)
            assert not thread.is_alive()


@pytest.fixture
def left(gauge_redis: RedisServer) -> Callable[[Worker], list[float]]:
    return partial(left_in, gauge_redis.client)
