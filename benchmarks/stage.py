"""What the measures of one LiteLLM version run on: Redis, the provider, and proxies without and with the guard."""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from benchmarks.machine import cpu_seconds, memory_of, pinned
from tests.harness.config import Setup
from tests.harness.forking import Seedbed
from tests.harness.provider.handle import Provider
from tests.harness.proxy import Proxy
from tests.harness.redis_server import RedisServer
from tests.harness.venvs import python_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from benchmarks.machine import Cores
    from tests.harness.versions import Version


@dataclass(frozen=True)
class Plan:
    """How much of everything: `quick` is what a machine does in five minutes.

    Attributes:
        starts: how often the proxies are started anew; the ratio of two that were differs by up to 6 %.
        rounds: pairs of runs on each start.
        noise: compare bare with bare.
    """

    quick: bool = False
    starts: int = 5
    rounds: int = 2
    noise: bool = False

    def __post_init__(self) -> None:
        # The verdict goes by starts, so each has one pair.
        if self.quick:
            object.__setattr__(self, "rounds", 1)

    def anew(self, seconds: float) -> Iterator[int]:
        """Yield as often as the proxies are to be started; where it is to be quick, in so many seconds at most."""
        until = time.monotonic() + seconds
        for number in range(self.starts):
            if self.quick and number and time.monotonic() > until:
                return
            yield number

    def pick(self, usual: Any, quick: Any) -> Any:
        return quick if self.quick else usual


@dataclass
class Stage:
    """Everything but the proxies lasts as long as the run.

    Attributes:
        seedbed: where proxies are forked from a process that has LiteLLM imported, 14 of the 16 seconds of CPU of a
            start. Two that were forked are more alike than two that were started, in what they do by chance, too.
    """

    folder: Path
    cores: Cores
    redis: RedisServer
    provider: Provider
    seedbed: Seedbed | None = None
    _started: int = 0

    def setup(self, version: Version, *, guarded: bool) -> Setup:
        # The same order of sets in both: it is one of the things that make two processes differ in speed.
        env = (("PYTHONHASHSEED", "0"),)
        return Setup(version, guarded, self.provider.url, self.redis.port, env=env)

    @contextmanager
    def proxy(self, setup: Setup, **changes: Any) -> Iterator[Proxy]:
        """A warm proxy on the measured core."""
        setup = replace(setup, **{**changes, "env": (*setup.env, *changes.get("env", ()))})
        with pinned(self.cores.measured):
            proxy = Proxy(setup, python_of(setup.version), self._fresh("proxy"), self.seedbed)
        try:
            yield proxy
        finally:
            proxy.stop()

    @contextmanager
    def both(self, version: Version, *, noise: bool = False) -> Iterator[tuple[Proxy, Proxy]]:
        """One without and one with the guard; the one that is not under load does next to nothing."""
        with (
            self.proxy(self.setup(version, guarded=False)) as bare,
            self.proxy(self.setup(version, guarded=not noise)) as guarded,
        ):
            yield bare, guarded

    def _fresh(self, name: str) -> Path:
        self._started += 1
        return _subfolder(self.folder, f"{name}-{self._started}")


@contextmanager
def staged(folder: Path, cores: Cores, *, forks: bool = False) -> Iterator[Stage]:
    """Set the stage on the cores that are not measured, which are this process's too until it is over."""
    with pinned(cores.others):
        redis = RedisServer(_subfolder(folder, "redis"))
        provider = Provider(_subfolder(folder, "provider"))
        seedbed = Seedbed(thaws=True) if forks else None
        try:
            yield Stage(folder, cores, redis, provider, seedbed)
        finally:
            if seedbed is not None:
                seedbed.end()
            provider.stop()
            redis.close()


def _subfolder(folder: Path, name: str) -> Path:
    path = folder / name
    path.mkdir()
    return path


def cpu_of(proxy: Proxy) -> float:
    """Return the CPU seconds that the proxy's workers have had."""
    return sum(cpu_seconds(pid) for pid in proxy.workers)


def memory(proxy: Proxy) -> int:
    """Return the bytes that the proxy's workers have in memory."""
    return sum(memory_of(pid) for pid in proxy.workers)
