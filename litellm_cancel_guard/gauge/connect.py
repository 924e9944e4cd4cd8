"""A client of our own: for a Redis by its parameters, or for an event loop of our own."""

from __future__ import annotations

from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from litellm_cancel_guard.aio.deadline import Deadline
from litellm_cancel_guard.gauge import GaugeUnavailableError
from litellm_cancel_guard.gauge.nodes import is_cluster
from litellm_cancel_guard.gauge.sending import what_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

T = TypeVar("T")

_TO_CLOSE_SECONDS = 1.0


class NoRedisError(Exception):
    """No Redis is meant, or not in a way that can be followed; the message says what to give."""


@dataclass(frozen=True)
class Target:
    """Where the slots are.

    Attributes:
        params: for redis-py, as LiteLLM names them.
        namespace: what LiteLLM puts before its keys; empty where nothing.
        source: where this was read.

    Raises:
        NoRedisError: its nodes are none.
    """

    params: dict[str, Any]
    namespace: str
    source: str

    def __post_init__(self) -> None:
        for name in ("startup_nodes", "sentinel_nodes"):
            if not all(map(_is_node, self.params.get(name) or ())):
                raise NoRedisError(f"{name} is no list of nodes, each a host and a port.")

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


@asynccontextmanager
async def opened(
    make: Callable[[], Any] | None, used_by: Callable[[Callable[[], Any]], T], timeout_seconds: float
) -> AsyncIterator[T]:
    """Give what uses the asyncio client that *make* returns, which is closed afterwards.

    That of a cluster knows by then which node has what, so that each can be asked by itself.

    Raises:
        GaugeUnavailableError: there is no such client, or no node of its cluster has answered.
    """
    try:
        client = None if make is None else make()
    except Exception as exc:
        raise GaugeUnavailableError(f"no client of its own: {what_of(exc)}") from exc
    if client is None:
        raise GaugeUnavailableError("no client of its own")
    try:
        if is_cluster(client):
            await _look_for_nodes(client, timeout_seconds)
        yield used_by(lambda: client)
    finally:
        await _close(client)


async def _look_for_nodes(client: Any, timeout_seconds: float) -> None:
    try:
        async with Deadline(timeout_seconds):
            await client.initialize()
    except Exception as exc:
        raise GaugeUnavailableError(what_of(exc)) from exc


async def _close(client: Any) -> None:
    """Close what an asyncio *client* has opened, whoever made its pool; nothing is raised, or waited for for long."""
    with suppress(Exception):
        async with Deadline(_TO_CLOSE_SECONDS):
            await client.aclose()
            # Handed to the client, a pool is not the client's to close. That of a cluster has none.
            pool = client.connection_pool
            await pool.disconnect()
            # Whoever said which the master is, is connected still: one more at each round, for the garbage collector.
            for sentinel in getattr(getattr(pool, "sentinel_manager", None), "sentinels", ()):
                await sentinel.aclose()


def _is_node(node: Any) -> bool:
    try:
        return isinstance(node, dict | list | tuple) and bool(_host(node) and _port(node))
    except (LookupError, TypeError, ValueError):
        return False


def _host(node: Any) -> str:
    return str(node["host"] if isinstance(node, dict) else node[0])


def _port(node: Any) -> int:
    return int(node.get("port", 6379) if isinstance(node, dict) else node[1])
