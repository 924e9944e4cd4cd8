"""Redis as larger installations run it: behind TLS with users of its own, and behind sentinels."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import redis

from tests.harness import tls
from tests.harness.process import LOOPBACK, Process, free_port
from tests.harness.redis_server import require_redis_server

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

USER, PASSWORD = "litellm", "a-secret"


class Secured:
    """Speaks TLS alone; one user may use it, by password, and only under the namespace `ours`."""

    def __init__(self, folder: Path) -> None:
        files = tls.issued(folder)
        self.port, self.authority = free_port(), files.authority
        argv = [require_redis_server(), "--port", "0", "--tls-port", str(self.port), "--bind", LOOPBACK, "--save", ""]
        argv += ["--tls-cert-file", str(files.certificate), "--tls-key-file", str(files.key)]
        argv += ["--tls-ca-cert-file", str(files.authority), "--tls-auth-clients", "no"]
        # Up to 1.90, and since 1.110, LiteLLM's limiter leaves the namespace out.
        may = [f">{PASSWORD}", "~ours:*", "~{api_key:*", "~cancel_guard:*", "&*", "+@all", "-@admin", "-@dangerous"]
        argv += ["--user", USER, "on", *may, "+info", "--user", "default", "off"]
        self._process = Process("redis-tls", argv, env=os.environ, folder=folder)
        self.client: Any = redis.Redis(**self.params, decode_responses=True)
        self._process.wait_ready(lambda: _answers(self.client), within=10)

    @property
    def params(self) -> dict[str, Any]:
        """As redis-py and LiteLLM's `cache_params` take them."""
        return {
            "host": LOOPBACK,
            "port": self.port,
            "username": USER,
            "password": PASSWORD,
            "ssl": True,
            "ssl_ca_certs": str(self.authority),
        }

    def close(self) -> None:
        self.client.close()
        self._process.stop()


class Sentinels:
    """A master, its replica, and one sentinel that decides alone."""

    NAME = "mymaster"

    def __init__(self, folder: Path, password: str = "") -> None:
        self._folder, self._password = folder, password
        self.ports = [free_port(), free_port()]
        self.port = free_port()
        self._stores = [self._store(self.ports[0]), self._store(self.ports[1], "--replicaof", LOOPBACK, self.ports[0])]
        self._sentinel = self._watch()
        self._stores[0].wait_ready(lambda: self._replicas() == 1, within=30)

    def fail_over(self) -> None:
        """The master dies, and its replica becomes one."""
        self._stores[0].kill()
        with redis.Redis(port=self.ports[1], password=self._password or None, decode_responses=True) as other:
            role: Callable[[], Any] = other.role
            self._stores[1].wait_ready(lambda: role()[0] == "master", within=30)

    def close(self) -> None:
        for process in (self._sentinel, *self._stores):
            if process.alive:
                process.stop()

    def _store(self, port: int, *more: str | int) -> Process:
        argv = [require_redis_server(), "--port", str(port), "--bind", LOOPBACK, "--save", "", *map(str, more)]
        if self._password:
            argv += ["--requirepass", self._password, "--masterauth", self._password]
        process = Process(f"redis-{port}", argv, env=os.environ, folder=self._folder)
        client: Any = redis.Redis(port=port, password=self._password or None)
        process.wait_ready(lambda: _answers(client), within=10)
        client.close()
        return process

    def _watch(self) -> Process:
        lines = [f"port {self.port}", f"bind {LOOPBACK}", f"sentinel monitor {self.NAME} {LOOPBACK} {self.ports[0]} 1"]
        lines += [f"sentinel {name} {self.NAME} {ms}" for name, ms in _PACE.items()]
        if self._password:
            lines += [f"requirepass {self._password}", f"sentinel auth-pass {self.NAME} {self._password}"]
        config = self._folder / "sentinel.conf"
        config.write_text("\n".join(lines) + "\n")
        argv = [require_redis_server(), str(config), "--sentinel"]
        process = Process("redis-sentinel", argv, env=os.environ, folder=self._folder)
        client: Any = redis.Redis(port=self.port, password=self._password or None)
        process.wait_ready(lambda: _answers(client), within=10)
        client.close()
        return process

    def _replicas(self) -> int:
        with redis.Redis(port=self.port, password=self._password or None, decode_responses=True) as sentinel:
            said: Any = sentinel.execute_command("SENTINEL", "REPLICAS", self.NAME)
            return sum("s_down" not in str(replica) for replica in said)


_PACE = {"down-after-milliseconds": 1000, "failover-timeout": 5000}


def _answers(client: Any) -> bool:
    try:
        return bool(client.ping())
    except redis.ConnectionError:
        return False
