"""A full key: clients that obey its refusals, that poll, that stand in line, and what the machine can do at all."""

from __future__ import annotations

import asyncio
import random
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NamedTuple

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
    sent: int = 0
    calls: int = 0

    @property
    def rate(self) -> float:
        return self.answers / self.seconds


class _Runs(NamedTuple):
    """Clients that come back after a second, when they are told, more and more seldom; in line; and four, uncapped."""

    hasty: _Run
    obeying: _Run
    polling: _Run
    line: _Run
    free: _Run


def measure(stage: Stage, version: Version, plan: Plan) -> list[Figure]:
    """Return what the line makes of two workers and twenty clients at a cap of four."""
    seconds, setup = plan.pick(12.0, 3.0), stage.setup(version, guarded=True)
    with stage.proxy(setup) as one_proxy, stage.proxy(setup, env=(("CANCEL_GUARD_MAX_WAITING", "101"),)) as other:
        urls = [one_proxy.url, other.url]

        def run(clients: int, key: Key, pause: Pause) -> _Run:
            return _measured(stage, _Crowd(urls, key, clients, pause, seconds))

        runs = _Runs(
            hasty=run(CLIENTS, fresh_key(CAP), _a_second),
            obeying=run(CLIENTS, fresh_key(CAP), _as_told),
            polling=run(CLIENTS, fresh_key(CAP), _more_and_more),
            line=run(CLIENTS, fresh_key(CAP, wait=60), _as_told),
            free=run(CAP, fresh_key(1000), _as_told),
        )
    return _figures(str(version), runs)


def _figures(version: str, runs: _Runs) -> list[Figure]:
    hasty, obeying, polling, line, free = runs

    def of(name: str, unit: str, value: float, **more: Any) -> Figure:
        return one(NAME, name, unit, value, version=version, samples=line.answers, **more)

    sent, calls = ([getattr(run, what) / max(1, run.answers) for run in (line, polling)] for what in ("sent", "calls"))
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
            "answers per second over clients that come back after a second",
            "ratio",
            line.rate / hasty.rate,
            target=at_least(2),
            bare=hasty.rate,
            guarded=line.rate,
        ),
        of(
            "answers per second over clients that obey retry-after",
            "ratio",
            line.rate / obeying.rate,
            bare=obeying.rate,
            guarded=line.rate,
        ),
        of(
            "answers per second over clients that poll",
            "ratio",
            line.rate / polling.rate,
            target=at_least(1.1),
            bare=polling.rate,
        ),
        of(
            "answers per second over four clients without a cap",
            "ratio",
            line.rate / free.rate,
            target=at_least(0.95),
            bare=free.rate,
        ),
        of(
            "Redis commands per answer over clients that poll",
            "ratio",
            sent[0] / sent[1],
            target=at_most(0.5),
            bare=sent[1],
            guarded=sent[0],
        ),
        of("the same with what scripts call", "ratio", calls[0] / calls[1], bare=calls[1], guarded=calls[0]),
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


def _a_second(_: float, __: int) -> float:
    """Wait as a refusal said up to commit 0e61dae, whatever held the slots: `retry-after: 1`."""
    return 1.0


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
    watch, before = Watch(stage.redis.client, crowd.key), _calls(stage)
    watch.start()
    found = asyncio.run(crowd.ask())
    seen = watch.stop()
    sent, calls = sum(seen.commands.values()), _calls(stage) - before
    return replace(found, held=seen.held(), handed=seen.hand_overs(CAP), sent=sent, calls=calls)


def _calls(stage: Stage) -> int:
    """Return how often Redis has carried out a command, those that scripts call among them."""
    store: Any = stage.redis.client
    return sum(each["calls"] for each in store.info("commandstats").values())
