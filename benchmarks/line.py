"""A full key: clients that obey its refusals, that poll, that stand in line, and what the machine can do at all."""

from __future__ import annotations

import asyncio
import random
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import aiohttp

from benchmarks.figures import Figure, one, percentile
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
    ended: list[float] = field(default_factory=list)
    refusals: int = 0
    waited: list[float] = field(default_factory=list)
    held: float = 0.0
    handed: list[float] = field(default_factory=list)
    sent: int = 0
    calls: int = 0

    @property
    def answers(self) -> int:
        return len(self.ended)

    @property
    def rate(self) -> float:
        return self.answers / self.seconds

    def by_second(self) -> list[int]:
        """Return how many answers there were in each second but the first, in which the line forms."""
        return [sum(int(at) == second for at in self.ended) for second in range(1, int(self.seconds))]


class _Runs(NamedTuple):
    """Clients that come back after a second, when they are told, more and more seldom; in line; and four, uncapped."""

    hasty: _Run
    obeying: _Run
    polling: _Run
    line: _Run
    free: _Run


def measure(stage: Stage, version: Version, plan: Plan) -> list[Figure]:
    """Return what the line makes of two workers and twenty clients at a cap of four."""
    seconds, setup = plan.pick(12.0, 6.0), stage.setup(version, guarded=True)
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

    def over(whom: str, run: _Run) -> Figure:
        # A second in which nobody was answered counts as one answer: of those that come back too late there are some.
        seconds = zip(run.by_second(), line.by_second(), strict=True)
        seen = tuple(mine / max(1, theirs) for theirs, mine in seconds)
        rates = {"bare": run.rate, "guarded": line.rate, "seen": seen}
        return of(f"answers per second over {whom}", "ratio", line.rate / run.rate, **rates)

    sent, calls = ([getattr(run, what) / max(1, run.answers) for run in (line, polling)] for what in ("sent", "calls"))
    return [
        of(
            "slots held in Redis over the cap",
            "of the cap",
            line.held / CAP,
            bare=free.held / CAP,
        ),
        of("refusals seen by a client", "", line.refusals),
        over("clients that come back after a second", hasty),
        over("clients that obey retry-after", obeying),
        over("clients that poll", polling),
        over("four clients without a cap", free),
        of(
            "Redis commands per answer over clients that poll",
            "ratio",
            sent[0] / sent[1],
            bare=sent[1],
            guarded=sent[0],
        ),
        of("the same with what scripts call", "ratio", calls[0] / calls[1], bare=calls[1], guarded=calls[0]),
        of(
            "from a release to the next admission, p50",
            "ms",
            1000 * percentile(line.handed, 50),
            bare=1000 * percentile(polling.handed, 50),
            seen=tuple(1000 * seconds for seconds in line.handed),
        ),
        of(
            "from a release to the next admission, p99, over clients that poll",
            "ratio",
            apart := percentile(line.handed, 99) / percentile(polling.handed, 99),
            seen=(apart,),
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
                found.ended += [time.monotonic() - until + self.seconds] * (answer.status == 200)
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
