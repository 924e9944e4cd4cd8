"""Twenty agents of one key that ask on and on, at a cap of four, over two workers: nobody is refused or forgotten.

Throughout: every answer is whole, none is a refusal, and never are more than four slots held. In the end: each agent
had as many answers as the others, to a tenth, and Redis holds neither a slot nor a line.
"""

from __future__ import annotations

import asyncio
import random
import statistics
import time
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

import httpx

from tests.harness.config import Setup
from tests.harness.keys import fresh_key
from tests.harness.provider.handle import Control, Provider
from tests.harness.provider.script import Script, word
from tests.harness.proxy import Proxy
from tests.harness.redis_server import RedisServer
from tests.harness.routes import ROUTES
from tests.harness.witness import gauge, keys_of, settled
from tests.soak.run import new

if TYPE_CHECKING:
    from pathlib import Path

    from tests.harness.versions import Version

AGENTS, CAP = 20, 4
ASKED = ("chat", "messages", "responses", "pass_anthropic")
WAITED = "x-cancel-guard-waited-ms"
RUN = "line"
# A turn that is being played when time is up makes one agent's answers one more: what ten minutes hide, a minute shows.
SHARE, TURNS_OPEN = 0.10, 2


class Line:
    """One run, all of whose decisions come from its seed."""

    def __init__(self, version: Version, python: Path, folder: Path, seed: int) -> None:
        self._chance = random.Random(seed)
        self._redis = RedisServer(new(folder / "redis"))
        self._provider = Provider(new(folder / "provider"))
        setup = Setup(version, guarded=True, provider=self._provider.url, redis_port=self._redis.port)
        self._proxies = [Proxy(setup, python, new(folder / name)) for name in ("one", "other")]
        self._key = fresh_key(CAP, wait=300)
        self._answers: Counter[str] = Counter()
        self._waited: list[float] = []
        self._held: list[int] = []
        self._open: list[int] = []
        self._violations: list[str] = []
        print(f"seed {seed}, LiteLLM {version}", flush=True)

    async def run(self, seconds: float) -> list[str]:
        """Have them ask for so many seconds; returns what was violated."""
        until = time.monotonic() + seconds
        async with httpx.AsyncClient(timeout=310, trust_env=False) as http:
            watching = asyncio.create_task(self._watch(Control(self._provider, http)))
            await asyncio.gather(*(self._agent(http, f"agent-{n}", until) for n in range(AGENTS)))
            watching.cancel()
            await asyncio.wait([watching])
            await self._rest()
        self._report(seconds)
        return self._violations

    def close(self) -> None:
        for proxy in self._proxies:
            proxy.kill()
        self._provider.stop()
        self._redis.close()

    async def _agent(self, http: httpx.AsyncClient, name: str, until: float) -> None:
        while time.monotonic() < until:
            route = replace(ROUTES[self._chance.choice(ASKED)], headers=(("X-Claude-Code-Agent-Id", name),))
            script = Script(RUN, chunks=self._chance.randint(1, 6), delay=self._chance.uniform(0.05, 0.2), gap=0.03)
            stream = self._chance.random() < 0.8
            path, body, headers = route.request(self._key, str(script), stream=stream)
            proxy = self._chance.choice(self._proxies)
            answer = await http.post(f"{proxy.url}{path}", headers=headers, **route.content(body))
            whole = word(script.chunks - 1).strip() in answer.text and (not stream or route.terminal in answer.text)
            if answer.status_code != httpx.codes.OK or not whole:
                self._violations.append(f"{name} on {route.name}: {answer.status_code} {answer.text[-300:]}")
            self._answers[name] += 1
            self._waited.append(float(answer.headers.get(WAITED, 0)))

    async def _watch(self, provider: Control) -> None:
        while True:
            self._open.append((await provider.counts(RUN)).open)
            self._held.append(int(await asyncio.to_thread(gauge, self._redis.client, self._key)))
            await asyncio.sleep(0.1)

    async def _rest(self) -> None:
        if (most := max(self._held)) > CAP:
            self._violations.append(f"{most} slots were held at once")
        # The provider is done with a request a moment after its last byte has been read, and the next may be there.
        if sum(number > CAP for number in self._open) > len(self._open) / 2:
            self._violations.append(f"the provider mostly had more than {CAP} requests: {Counter(self._open)}")
        if left := await settled(lambda: gauge(self._redis.client, self._key), 0):
            self._violations.append(f"{left} slots are left")
        if lines := [name for name in keys_of(self._redis.client, self._key) if "cancel_guard" in name]:
            self._violations.append(f"a line is left: {lines}")
        mean = statistics.mean(self._answers.values())
        for name, answers in self._answers.items():
            if abs(answers - mean) > max(SHARE * mean, TURNS_OPEN):
                self._violations.append(f"{name} had {answers} answers, where {mean:.1f} are an equal share")

    def _report(self, seconds: float) -> None:
        waited = statistics.quantiles(self._waited, n=100)
        print(
            f"{self._answers.total()} answers, {self._answers.total() / seconds:.1f} a second, "
            f"{min(self._answers.values())} to {max(self._answers.values())} an agent; "
            f"waited {waited[49]:.0f} ms (median), {waited[98]:.0f} (p99), {max(self._waited):.0f} (most); "
            f"slots held {statistics.mean(self._held) / CAP:.3f} of the cap; {len(self._violations)} violations",
            *self._violations[:20],
            sep="\n",
            flush=True,
        )
