"""Where Redis is, as LiteLLM takes it; its own code is caching/redis_cache.py and _redis.py, 1.80 - 1.109."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
import redis
import redis.asyncio as aioredis

from litellm_cancel_guard.gauge.connect import NoRedisError, opened
from litellm_cancel_guard.host.redis_settings import target_of
from tests.harness.process import LOOPBACK
from tests.setups.stores import Sentinels

if TYPE_CHECKING:
    from pathlib import Path


def test_a_url_in_the_config_goes_before_host_and_password() -> None:
    params = {"url": "rediss://u:p@r:1/2", "host": "other", "password": "x"}
    target = target_of(None, {"litellm_settings": {"cache": True, "cache_params": params}}, {})
    assert (target.params, str(target)) == ({"url": "rediss://u:p@r:1/2"}, "rediss://r:1/2")


def test_tls_port_and_database_from_the_environment_are_not_text() -> None:
    target = target_of(None, None, {"REDIS_HOST": "r", "REDIS_PORT": "1", "REDIS_DB": "2", "REDIS_SSL": "True"})
    assert target.params == {"host": "r", "port": 1, "db": 2, "ssl": True}


def test_the_coordination_redis_goes_before_the_cache() -> None:
    config = {
        "general_settings": {"coordination_redis": {"host": "here", "port": 1}},
        "litellm_settings": {"cache": True, "cache_params": {"host": "there"}},
    }
    assert target_of(None, config, {}).params == {"host": "here", "port": 1}


def test_a_config_without_a_cache_means_no_redis() -> None:
    with pytest.raises(NoRedisError, match="in each worker alone"):
        target_of(None, {"litellm_settings": {}}, {"REDIS_HOST": "r"})


def test_nodes_that_are_no_json_are_named() -> None:
    with pytest.raises(NoRedisError, match="startup_nodes is no JSON"):
        target_of(None, None, {"REDIS_CLUSTER_NODES": "r:1"})


async def test_a_client_of_our_own_leaves_no_connection_to_the_master_or_a_sentinel(tmp_path: Path) -> None:
    sentinel_of: Any = aioredis.Sentinel
    with closing(Sentinels(tmp_path)) as stores:
        make = lambda: sentinel_of([(LOOPBACK, stores.port)]).master_for(stores.NAME)  # noqa: E731
        for port in (stores.port, stores.ports[0]):
            with redis.Redis(port=port) as witness:
                before = _clients_of(witness)
                async with opened(make, lambda client: client(), 2.0) as client:
                    await client.ping()
                    assert _clients_of(witness) - before
                assert not _clients_of(witness) - before


def _clients_of(server: Any) -> set[str]:
    return {client["id"] for client in server.client_list(_type="normal")}
