"""A Redis by its parameters, and a client of our own for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


class NoRedisError(Exception):
    """No Redis is meant, or not in a way that can be followed; the message says what to give."""


@dataclass(frozen=True)
class Target:
    """Where the slots are.

    Attributes:
        params: for redis-py, as LiteLLM names them.
        namespace: what LiteLLM puts before its keys; empty where nothing.
        source: where this was read.
    """

    params: dict[str, Any]
    namespace: str
    source: str

    def __str__(self) -> str:
        """Name the place, without a password."""
        if nodes := self.params.get("startup_nodes") or self.params.get("sentinel_nodes"):
            return ", ".join(f"{_host(node)}:{_port(node)}" for node in nodes)
        if url := self.params.get("url"):
            scheme, _, rest = str(url).partition("://")
            return f"{scheme}://{rest.rpartition('@')[2]}"
        return f"{self.params.get('host')}:{self.params.get('port', 6379)}"

    def client(self, timeout_seconds: float) -> Any:
        """Return an asyncio client; it connects when it is first used."""
        import redis.asyncio

        aioredis: Any = redis.asyncio

        some: dict[str, Any] = {"socket_timeout": timeout_seconds, "socket_connect_timeout": timeout_seconds}
        params = {**self.params, **some}
        nodes, sentinels = params.pop("startup_nodes", None), params.pop("sentinel_nodes", None)
        service, sentinel_password = params.pop("service_name", None), params.pop("sentinel_password", None)
        url = params.pop("url", None)
        if nodes:
            from redis.asyncio.cluster import ClusterNode

            params.pop("db", None)
            return aioredis.RedisCluster(
                startup_nodes=[ClusterNode(_host(node), _port(node)) for node in nodes], **params
            )
        if sentinels:
            known = [(_host(node), _port(node)) for node in sentinels]
            return aioredis.Sentinel(known, sentinel_kwargs={"password": sentinel_password, **some}).master_for(
                service, **params
            )
        if url:
            return aioredis.Redis.from_url(url, **some)
        return aioredis.Redis(**params)


def _host(node: Any) -> str:
    return str(node["host"] if isinstance(node, dict) else node[0])


def _port(node: Any) -> int:
    return int(node.get("port", 6379) if isinstance(node, dict) else node[1])
