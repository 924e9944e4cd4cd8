"""A real redis-server of our own: the store of the proxies, and the second witness of the tests."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import redis

from tests.harness.process import LOOPBACK, Process, free_port
from tests.harness.programs import required

if TYPE_CHECKING:
    from pathlib import Path


def require_redis_server() -> str:
    return required("redis-server", "redis-server")


class RedisServer:
    """Without persistence: a restart forgets everything, as a failover to an empty replica does."""

    def __init__(self, folder: Path) -> None:
        self._program = require_redis_server()
        self._folder = folder
        self.port = free_port()
        self.client = redis.Redis(host=LOOPBACK, port=self.port, decode_responses=True, socket_timeout=5)
        self._process = self._start()

    @property
    def pid(self) -> int:
        return self._process.pid

    def pause(self) -> None:
        """Connections stay open, and nothing is answered."""
        self._process.signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._process.signal(signal.SIGCONT)

    def stop(self) -> None:
        self.resume()
        self._process.stop()

    def restart(self) -> None:
        """Same port, empty store."""
        self.stop()
        self._process = self._start()

    def close(self) -> None:
        self.client.close()
        self.stop()

    def _start(self) -> Process:
        arguments = ["--port", str(self.port), "--bind", LOOPBACK, "--save", "", "--appendonly", "no"]
        process = Process("redis", [self._program, *arguments], env=os.environ, folder=self._folder)
        process.wait_ready(self._answers, within=10)
        return process

    def _answers(self) -> bool:
        try:
            return bool(self.client.ping())
        except redis.ConnectionError:
            return False
