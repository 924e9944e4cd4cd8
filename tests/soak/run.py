"""The soak: a storm, faults all the while, and what must be true throughout and in the end.

Throughout, while Redis is available: of one key, the provider never has more requests open than its cap. A request
counts for the epoch in which it began; an epoch ends before the next fault of Redis, and the following one begins when
every worker has said that Redis answers again. During a fault of Redis, each worker by itself holds the cap (`local`),
and the provider may have as many times the cap as there are workers: that is not checked here.
Throughout, faults or not: a client that is alone with its key is never refused by the worker that nobody kills.
In the end, one lease after the last client has left: every gauge is 0, every registry is empty, no key would live for
ever, and no worker has grown, as memory.py judges it.
"""

from __future__ import annotations

import asyncio
import random
import time
from typing import TYPE_CHECKING, Any

import httpx

from tests.harness.config import Setup
from tests.harness.provider.handle import Control, Provider
from tests.harness.proxy import Proxy
from tests.harness.redis_server import RedisServer
from tests.harness.witness import gauge, lasting, settled
from tests.soak.memory import Scales
from tests.soak.storm import Storm

if TYPE_CHECKING:
    from pathlib import Path

    from tests.harness.versions import Version

LEASE_SECONDS = 3.0
CLIENTS = 16
STEADY, MORTAL = "steady", "mortal"
AWAY, BACK = "cannot count slots in Redis", "Redis answers again"
# A provider learns of a closed connection a moment after the proxy has closed it, on a busy machine later: at most
# 0.19 s where only the storm runs, 0.25 s beside three more proxies. A request too many would last for up to 1.6 s.
OVERLAP_SECONDS = 0.5


class Soak:
    """One run, all of whose decisions come from its seed."""

    def __init__(self, version: Version, python: Path, folder: Path, seed: int) -> None:
        self._chance = random.Random(seed)
        self._folder = folder
        self._python = python
        self._redis = RedisServer(new(folder / "redis"))
        self._provider = Provider(new(folder / "provider"))
        self._setup = Setup(
            version,
            guarded=True,
            provider=self._provider.url,
            redis_port=self._redis.port,
            callbacks=("probe.probe",),
            beside=("probe.py",),
            env=(
                ("CANCEL_GUARD_LEASE_SECONDS", f"{LEASE_SECONDS:g}"),
                ("CANCEL_GUARD_REDIS_TIMEOUT", "1"),
            ),
        )
        self._proxies: dict[str, Proxy | None] = {STEADY: None, MORTAL: None}
        self._epoch, self._stable, self._started = 0, True, 0
        self._storm = Storm(self._chance, self._proxies, STEADY, self._tag)
        self._scales = Scales()
        self._violations: list[str] = []
        self._worst = 0.0
        self._began = time.monotonic()
        self._say(f"seed {seed}, LiteLLM {version}")

    async def run(self, seconds: float) -> list[str]:
        """Soak for so many seconds; returns what was violated."""
        for name in self._proxies:
            await self._start(name)
        self._began = time.monotonic()
        storm = self._storm
        async with httpx.AsyncClient(timeout=20, trust_env=False) as http:
            provider = Control(self._provider, http)
            await self._number(http)
            raging = [asyncio.create_task(work) for work in (storm.rage(CLIENTS), self._watch(provider))]
            await self._faults(self._began + seconds)
            for task in raging:
                task.cancel()
            await asyncio.wait(raging)
            for task in raging:
                if not task.cancelled() and (error := task.exception()):
                    self._violated(repr(error))
            await storm.close()
            await self._rest(http)
        self._violations += storm.told.wrong
        self._say(f"{len(self._violations)} violations", *storm.told.wrong[:20])
        return self._violations

    def close(self) -> None:
        for proxy in self._proxies.values():
            if proxy is not None:
                proxy.kill()
        self._provider.stop()
        self._redis.close()

    def _tag(self) -> str:
        return f"{'e' if self._stable else 'fault'}{self._epoch}"

    async def _faults(self, until: float) -> None:
        acts = (self._kill, self._pause, self._restart_redis, self._flush_scripts)
        while (left := until - time.monotonic()) > 0:
            await asyncio.sleep(min(left, self._chance.uniform(5, 15)))
            if time.monotonic() < until:
                await self._chance.choice(acts)()

    async def _kill(self) -> None:
        proxy, self._proxies[MORTAL] = self._proxies[MORTAL], None
        if proxy is not None:
            self._say("kill -9")
            await asyncio.to_thread(proxy.kill)
        await self._start(MORTAL)

    async def _pause(self) -> None:
        seconds = self._chance.uniform(0.2, LEASE_SECONDS * 2)
        self._say(f"Redis frozen for {seconds:.1f} s")
        await self._before_it()
        self._redis.pause()
        await asyncio.sleep(seconds)
        self._redis.resume()
        await self._stable_again()

    async def _restart_redis(self) -> None:
        self._say("Redis restarted, empty")
        await self._before_it()
        await asyncio.to_thread(self._redis.restart)
        await self._stable_again()

    async def _flush_scripts(self) -> None:
        self._say("SCRIPT FLUSH")
        self._redis.client.script_flush()

    async def _before_it(self) -> None:
        # One that was sent before and is admitted after the fault would be counted with those that Redis has lost.
        ending, self._stable = self._tag(), False
        while self._storm.asking[ending]:  # noqa: ASYNC110 - clients come and go at every moment
            await asyncio.sleep(0.02)
        # Those whose client did not wait for an answer are on their way as well.
        await asyncio.sleep(0.5)

    async def _stable_again(self) -> None:
        # A beat after which every worker has written again what it holds, and noticed an outage at the latest.
        await asyncio.sleep(LEASE_SECONDS / 3 + 2)
        while any(said.count(AWAY) > said.count(BACK) for said in self._logs()):  # noqa: ASYNC110 - a log has no event
            await asyncio.sleep(0.1)
        self._epoch += 1
        self._stable = True

    def _logs(self) -> list[str]:
        return [proxy.text() for proxy in self._proxies.values() if proxy is not None]

    async def _start(self, name: str) -> None:
        self._started += 1
        folder = new(self._folder / f"{name}-{self._started}")
        self._proxies[name] = await asyncio.to_thread(Proxy, self._setup, self._python, folder)
        self._say(f"{name} proxy started")

    async def _watch(self, provider: Control) -> None:
        said: set[str] = set()
        last = time.monotonic()
        while True:
            await asyncio.sleep(1)
            for key in self._storm.keys:
                run = self._storm.run_of(key, f"e{self._epoch}")
                lasted = (await provider.counts(run)).longest.get(str((key.cap or 0) + 1), 0)
                self._worst = max(self._worst, lasted)
                if lasted > OVERLAP_SECONDS and run not in said:
                    said.add(run)
                    self._violated(f"the provider had more than {key.cap} requests of a key for {lasted:.3f} s: {run}")
            if not self._steady.alive:
                self._violated(f"the {STEADY} proxy died by itself; its log ended so:\n{self._steady.text()[-6000:]}")
                return
            self._weigh()
            if time.monotonic() - last > 10:
                last = time.monotonic()
                self._report()

    def _report(self) -> None:
        told = self._storm.told
        self._say(
            f"answers {dict(told.statuses)}, {told.left} left, {told.broken_off} broken off, "
            f"{self._worst:.3f} s above a cap at most, steady worker {self._scales.last(self._steady.pid)} MiB"
        )

    def _alive(self) -> list[tuple[str, Proxy]]:
        return [(name, proxy) for name, proxy in self._proxies.items() if proxy is not None and proxy.alive]

    @property
    def _steady(self) -> Proxy:
        proxy = self._proxies[STEADY]
        assert proxy is not None
        return proxy

    def _weigh(self) -> None:
        self._scales.weigh(self._steady.pid, self._storm.told.served[self._steady.url])

    async def _number(self, http: httpx.AsyncClient) -> None:
        for _, proxy in self._alive():
            found = (await http.get(f"{proxy.url}/_probe?objects=1")).json()
            for more in self._scales.by_number(found["pid"], found["objects"]):
                self._violated(more)

    async def _rest(self, http: httpx.AsyncClient) -> None:
        self._say("the clients have left")
        await asyncio.sleep(LEASE_SECONDS + 2)
        for key in self._storm.keys:
            left = await settled(lambda key=key: gauge(self._redis.client, key), 0, within=3)  # type: ignore[misc]
            if left:
                self._violated(f"the gauge of a key with a cap of {key.cap} is {left}")
            for name in lasting(self._redis.client, key):
                self._violated(f"{name} would live for ever")
        for name, proxy in self._alive():
            await self._is_empty(name, (await http.get(f"{proxy.url}/_probe")).json())
        await self._number(http)
        said, leaks = self._scales.by_weight(self._steady.pid)
        if leaks:
            self._violated(said)
        else:
            self._say(said)

    async def _is_empty(self, name: str, found: dict[str, Any]) -> None:
        holds = {what: found[what] for what in ("requests", "held", "at_work")}
        self._say(f"the {name} proxy holds {holds}")
        # A task that watches the loop stays for good.
        if holds["requests"] or holds["held"] or holds["at_work"] > 1:
            self._violated(f"the {name} proxy still holds {holds}")

    def _violated(self, what: str) -> None:
        self._violations.append(what)
        self._say(f"VIOLATION: {what}")

    def _say(self, *lines: str) -> None:
        for line in lines:
            print(f"[{time.monotonic() - self._began:6.1f} s] {line}", flush=True)


def new(folder: Path) -> Path:
    """Make the folder."""
    folder.mkdir(parents=True)
    return folder
