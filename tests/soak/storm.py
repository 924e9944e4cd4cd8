"""Clients that come, read, leave at random moments and come back; every one of them knows what it may be told."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import anyio
import httpx

from tests.harness.keys import fresh_key
from tests.harness.provider.script import Script
from tests.harness.routes import ROUTES

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

    from tests.harness.keys import Key
    from tests.harness.proxy import Proxy
    from tests.harness.routes import Route

STORMED = ("chat", "chat_claude", "text", "messages", "messages_claude", "responses", "pass_anthropic", "pass_custom")
# What LiteLLM makes of a provider that fails; 429 is a refusal, or a provider's.
FAILURES = (500, 502, 503, 429, 408, 504)


@dataclass(frozen=True)
class Question:
    """What one client asks for."""

    key: Key
    route: Route
    script: Script
    tag: str
    stream: bool

    def __str__(self) -> str:
        return f"{self.route.name} {self.script} {'streamed' if self.stream else 'plain'}"


@dataclass
class Told:
    """What the clients were told, all in all."""

    statuses: Counter[int] = field(default_factory=Counter)
    served: Counter[str] = field(default_factory=Counter)
    left: int = 0
    broken_off: int = 0
    wrong: list[str] = field(default_factory=list)


class Storm:
    """So many clients of a few keys, on proxies of which some may die.

    Args:
        chance: decides everything.
        proxies: name -> the one that runs now, or None while it is being started.
        steady: the name of the one that nobody kills: it must not break a connection.
        tag: what the runs of requests that begin now are counted under.
    """

    def __init__(
        self, chance: random.Random, proxies: dict[str, Proxy | None], steady: str, tag: Callable[[], str]
    ) -> None:
        self.shared = [fresh_key(cap=cap) for cap in (1, 2, 3, 4)]
        self.lone = fresh_key(cap=1)
        self.keys = [*self.shared, self.lone]
        self.asking: Counter[str] = Counter()
        self.told = Told()
        self._before = "nothing"
        self._chance = chance
        self._proxies = proxies
        self._steady = steady
        self._tag = tag
        self._http = httpx.AsyncClient(
            timeout=60, limits=httpx.Limits(max_connections=None, max_keepalive_connections=0), trust_env=False
        )

    def run_of(self, key: Key, tag: str) -> str:
        return f"{key.name[:12]}-{tag}"

    async def rage(self, clients: int) -> None:
        """Until cancelled; each client then leaves whatever it is reading."""
        await asyncio.gather(*(self._client() for _ in range(clients)), self._lone_client())

    async def close(self) -> None:
        await self._http.aclose()

    async def _client(self) -> None:
        while True:
            name = self._chance.choice(list(self._proxies))
            proxy = self._proxies[name]
            if proxy is None:
                await asyncio.sleep(0.2)
                continue
            patience = self._chance.choice([None, None, self._chance.expovariate(4), self._chance.expovariate(1)])
            try:
                with anyio.fail_after(patience):
                    await self._ask(proxy, self._question(self._chance.choice(self.shared)))
            except TimeoutError:
                self.told.left += 1
            except httpx.TransportError as error:
                self.told.broken_off += 1
                if name == self._steady and isinstance(error, httpx.ConnectError | httpx.ConnectTimeout):
                    self.told.wrong.append(f"{name} refused a connection: {error!r}")
            await asyncio.sleep(self._chance.expovariate(3))

    async def _lone_client(self) -> None:
        """It reads every answer to its end, and nobody else has its key: it is never refused."""
        while True:
            proxy = self._proxies[self._steady]
            if proxy is not None:
                question, ended = self._question(self.lone), "whole"
                try:
                    await self._ask(proxy, question)
                except httpx.TransportError as error:
                    ended = repr(error)
                self._before = f"{question}, {ended} at {time.monotonic():.3f}"
            await asyncio.sleep(self._chance.choice([0, 0, 0.2]))

    def _question(self, key: Key) -> Question:
        tag = self._tag()
        script = self._script(self.run_of(key, tag))
        return Question(key, ROUTES[self._chance.choice(STORMED)], script, tag, stream=self._chance.random() < 0.75)

    async def _ask(self, proxy: Proxy, question: Question) -> None:
        path, body, headers = question.route.request(question.key, str(question.script), stream=question.stream)
        with contextlib.ExitStack() as unanswered:
            self.asking[question.tag] += 1
            unanswered.callback(self.asking.subtract, [question.tag])
            async with self._http.stream("POST", f"{proxy.url}{path}", json=body, headers=headers) as response:
                unanswered.close()
                self.told.served[proxy.url] += 1
                self._judge(question, response)
                async for _ in response.aiter_raw():
                    pass

    def _script(self, run: str) -> Script:
        chunks = self._chance.randint(2, 8)
        mishap = self._chance.choice([{}] * 8 + [{"status": 500}, {"error_step": 1}, {"break_step": 1}, {"delay": 1.5}])
        return Script(run, chunks=chunks, gap=self._chance.choice([0.0, 0.02, 0.2]), **mishap)  # type: ignore[arg-type]

    def _judge(self, question: Question, response: httpx.Response) -> None:
        status, script = response.status_code, question.script
        self.told.statuses[status] += 1
        may_fail = script.status or script.error_step >= 0 or script.break_step >= 0
        if status == 429 and question.key is self.lone:
            said = f"at {time.monotonic():.3f} with {dict(response.headers)}, after {self._before}"
            self.told.wrong.append(f"a client alone with its key was refused: {question}, {said}")
        elif status not in (200, 429) and not (may_fail and status in FAILURES):
            self.told.wrong.append(f"{question.route.name} answered {status} to {script}")
