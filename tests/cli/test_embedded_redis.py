"""The embedded Redis does for the limiters' scripts what a redis-server does."""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

import litellm_cancel_guard.demo
from litellm_cancel_guard.demo import children

if TYPE_CHECKING:
    from collections.abc import Iterator

SERVER = Path(litellm_cancel_guard.demo.__file__).with_name("embedded_redis.py")


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    listens = children.free_port()
    folder = tmp_path_factory.mktemp("redis") / "embedded"
    with children.python("Redis", str(SERVER), [str(listens)], folder=folder) as server:
        for _ in range(100):
            server.check()
            with suppress(redis.ConnectionError), redis.Redis(port=listens) as client:
                client.ping()
                break
            time.sleep(0.1)
        yield listens


@pytest.fixture(params=[2, 3], ids=["RESP2", "RESP3"])
def client(port: int, request: pytest.FixtureRequest) -> Iterator[redis.Redis]:
    with redis.Redis(
        port=port, protocol=request.param, single_connection_client=True, retry=Retry(NoBackoff(), 0)
    ) as connected:
        connected.flushall()
        yield connected


def test_an_error_does_not_cost_the_connection(client: redis.Redis) -> None:
    """Else the script that NOSCRIPT asks for is never loaded: LiteLLM then counts up in the process, down in Redis."""
    before = client.client_id()
    with pytest.raises(redis.exceptions.NoScriptError):
        client.evalsha("0" * 40, 0)
    client.set("text", "words")
    with pytest.raises(redis.ResponseError):
        client.incr("text")
    assert client.client_id() == before


def test_a_registered_script_counts(client: redis.Redis) -> None:
    script = client.register_script("redis.call('INCR', KEYS[1]) return {redis.call('TIME')[1], ARGV[1]}")
    answers = [script(keys=["count"], args=["x"]) for _ in range(3)]
    assert [answer[1] for answer in answers] == [b"x"] * 3
    assert client.get("count") == b"3"
