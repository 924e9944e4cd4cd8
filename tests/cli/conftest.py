from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

import pytest

from litellm_cancel_guard.gauge.connect import Target
from tests.cli.store import Store
from tests.harness.process import LOOPBACK
from tests.harness.redis_server import RedisServer

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path_factory.mktemp("cli-redis"))
    yield server
    server.close()


@pytest.fixture
def store(server: RedisServer) -> Store:
    server.client.flushall()
    return Store(Target({"url": f"redis://{LOOPBACK}:{server.port}"}, "", "the test"))


@pytest.fixture
def key() -> str:
    return f"sk-{secrets.token_hex(8)}"
