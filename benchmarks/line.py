"""A full key: clients that obey its refusals, that poll, that stand in line, and what the machine can do at all."""

from __future__ import annotations

import asyncio
import random
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import aiohttp

from benchmarks.figures import Figure, at_least, at_most, one, percentile
from benchmarks.line_watch import Watch
from tests.harness.keys import fresh_key
from tests.harness.provider.script import Script
from tests.harness.routes import ROUTES

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.stage import Plan, Stage
    from tests.harness.keys import Key
    from tests.harness.versions import Version

    Pause = Callable[[float, int], float]

NAME = "line"
CAP, CLIENTS, ANSWER_SECONDS = 4, 20, 0.2


@dataclass
class _Run:
    """Of so many seconds: what the clients were told, and what Redis held and did meanwhile."""

    seconds: float
    answers: int = 0
    refusals: int = 0
    waited: list[float] = field(default_factory=list)
    held: float = 0.0
    handed: list[float] = field(default_factory=list)
    commands: float = 0.0

    @property
    def rate(self) -> float:
        return self.answers / self.seconds


def measure(stage: Stage, version: Version, plan: Plan) -> list[Figure]:
    """Return what the line makes of two workers and twenty clients at a cap of four."""
    seconds, setup = plan.pick(12.0, 3.0), stage.setup(version, guarded=True)
    with stage.proxy(setup) as one_proxy, stage.proxy(setup, env=(("CANCEL_GUARD_MAX_WAITING", "101"),)) as other:
        urls = [one_proxy.url, other.url]

        def run(clients: int, key: Key, pause: Pause) -> _Run:
            return _measured(stage, _Crowd(urls, key, clients, pause, seconds))

        obeying = run(CLIENTS, fresh_key(CAP), _as_told)
        polling = run(CLIENTS, fresh_key(CAP), _more_and_more)
        line = run(CLIENTS, fresh_key(CAP, wait=60), _as_told)
        free = run(CAP, fresh_key(1000), _as_told)
    return _figures(str(version), obeying, polling, line, free)


def _figures(version: str, obeying: _Run, polling: _Run, line: _Run, free: _Run) -> list[Figure]:
    def of(name: str, unit: str, value: float, **more: Any) -> Figure:
        return one(NAME, name, unit, value, version=version, samples=line.answers, **more)

    per_answer = [run.commands / max(1, run.answers) for run in (line, polling)]
    return [
        of(
            "slots held in Redis over the cap",
            "of the cap",
            line.held / CAP,
            target=at_least(0.97),
            bare=free.held / CAP,
        ),
        of("refusals seen by a client", "", line.refusals, target=at_most(0)),
        of(
            "answers per second over clients that obey retry-after",
            "ratio",
            line.rate / obeying.rate,
            target=at_least(2),
        ),
        of("answers per second over clients that poll", "ratio", line.rate / polling.rate, target=at_least(1.1)),
        of("answers per second over four clients without a cap", "ratio", line.rate / free.rate, target=at_least(0.95)),
        of(
            "commands of Redis per answer over clients that poll",
            "ratio",
            per_answer[0] / per_answer[1],
            target=at_most(0.5),
        ),
        of(
            "from a release to the next admission, p50",
            "ms",
            1000 * percentile(line.handed, 50),
            target=at_most(5),
            bare=1000 * percentile(polling.handed, 50),
        ),
        of(
            "from a release to the next admission, p99, over clients that poll",
            "ratio",
            percentile(line.handed, 99) / percentile(polling.handed, 99),
            target=at_most(0.1),
            bare=1000 * percentile(polling.handed, 99),
            guarded=1000 * percentile(line.handed, 99),
        ),
        of(
            "an answer's time in line and in work, p99",
            "s",
            percentile(line.waited, 99),
            bare=percentile(polling.waited, 99),
        ),
    ]


def _as_told(retry_after: float, _: int) -> float:
    return retry_after


def _more_and_more(_: float, tries: int) -> float:
    """Wait as claude-relay-service does (8479c7c, src/middleware/auth.js): 200 ms, then half as much again, ± 20 %."""
    return min(2.0, 0.2 * 1.5 ** (tries - 1)) * random.uniform(0.8, 1.2)


@dataclass
class _Crowd:
    """Clients of one key that ask one request after another, each at one of the proxies."""

    urls: list[str]
    key: Key
    clients: int
    pause: Pause
    seconds: float

    async def ask(self) -> _Run:
        found, until = _Run(self.seconds), time.monotonic() + self.seconds
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as http:
            await asyncio.gather(*(self._ask_on(http, number, found, until) for number in range(self.clients)))
        return found

    async def _ask_on(self, http: aiohttp.ClientSession, number: int, found: _Run, until: float) -> None:
        script = Script(self.key.name[:12], delay=ANSWER_SECONDS)
        path, body, headers = ROUTES["chat"].request(self.key, str(script), stream=False)
        url, began, tries = f"{self.urls[number % len(self.urls)]}{path}", time.monotonic(), 0
        while (left := until - time.monotonic()) > 0:
            async with http.post(url, json=body, headers=headers) as answer:
                await answer.read()
            if answer.status == 429:
                tries += 1
                found.refusals += 1
                await asyncio.sleep(min(self.pause(float(answer.headers["retry-after"]), tries), left))
                continue
            if time.monotonic() < until:
                found.answers += answer.status == 200
                found.waited.append(time.monotonic() - began)
            began, tries = time.monotonic(), 0


def _measured(stage: Stage, crowd: _Crowd) -> _Run:
    watch, before = Watch(stage.redis.client, crowd.key), _commands(stage)
    watch.start()
    found = asyncio.run(crowd.ask())
    seen, commands = watch.stop(), _commands(stage) - before
    return replace(found, held=seen.held(), handed=seen.hand_overs(CAP), commands=commands)


def _commands(stage: Stage) -> int:
    store: Any = stage.redis.client
    return sum(each["calls"] for each in store.info("commandstats").values())
