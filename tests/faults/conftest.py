"""A Redis and a wire of these tests' own: they stop, empty and cut them."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import pytest

from tests.faults.open_streams import SHORT_LEASE
from tests.harness.delay_proxy import DelayProxy
from tests.harness.proxy import Proxy
from tests.harness.redis_server import RedisServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.harness.clients import Caller
    from tests.harness.config import Setup
    from tests.harness.proxy import Proxies


@pytest.fixture(scope="package")
def faulty_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path_factory.mktemp("faulty-redis"))
    yield server
    server.close()


@pytest.fixture(scope="package")
def faulty_wire(faulty_redis: RedisServer) -> Iterator[DelayProxy]:
    wire = DelayProxy(faulty_redis.port)
    yield wire
    wire.close()


@pytest.fixture
def wire(faulty_wire: DelayProxy) -> Iterator[DelayProxy]:
    yield faulty_wire
    faulty_wire.mend()


@pytest.fixture
def redis_server(faulty_redis: RedisServer) -> Iterator[RedisServer]:
    """In place of the session's."""
    yield faulty_redis
    faulty_redis.resume()


@pytest.fixture
def setup(setup: Setup, redis_server: RedisServer) -> Setup:
    """A short lease, so that what a beat and a lapse bring about can be waited for."""
    return dataclasses.replace(setup, redis_port=redis_server.port, env=SHORT_LEASE)


@pytest.fixture
def start(proxies: Proxies, setup: Setup, call_on: Callable[[Proxy], Caller]) -> Iterator[Callable[..., Caller]]:
    """Start a proxy for this test alone, that differs from the usual one in the fields given, and call on it."""
    with proxies.alone(setup, Proxy.kill) as start:
        yield lambda **changes: call_on(start(**changes))
