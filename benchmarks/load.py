"""A process of clients: `python -m benchmarks.load`, told by JSON what to ask, and answering in JSON how it went."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from tests.harness.keys import fresh_key
from tests.harness.provider.script import word
from tests.harness.routes import ROUTES

_ROOT = Path(__file__).parents[1]
_TIMEOUT = aiohttp.ClientTimeout(total=120)


@dataclass(frozen=True)
class Job:
    """So many clients that ask one request after another, until so many were asked."""

    url: str
    script: str
    secrets: list[str]
    clients: int
    requests: int
    chunks: int = 0
    """0: plain answers."""


@dataclass
class Load:
    """How it went.

    Attributes:
        seconds: from the first question to the end of the last answer: the proxy has no pause in between.
        first: seconds to the first content of each stream.
    """

    requests: int = 0
    failed: int = 0
    seconds: float = 0.0
    first: list[float] = field(default_factory=list)


def secrets_of(count: int, cap: int | None = 1000) -> list[str]:
    """Keys that nobody else uses."""
    return [fresh_key(cap).secret for _ in range(count)]


def run(job: Job) -> Load:
    """Do the job, of which no request may fail."""
    load = play(job)
    if load.failed:
        raise RuntimeError(f"{load.failed} of {load.requests} requests failed at {job.url}: its log says why")
    return load


def play(job: Job) -> Load:
    """Do the job in a process of its own, on the cores of the caller."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.load"],
        input=json.dumps(asdict(job)),
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(_ROOT)},
        text=True,
        check=True,
    )
    return Load(**json.loads(done.stdout))


class _Clients:
    def __init__(self, job: Job, http: aiohttp.ClientSession) -> None:
        self._job = job
        self._http = http
        self._route = ROUTES["chat"]
        self._load = Load()
        self._first_word = word(0).strip().encode()

    async def run(self) -> Load:
        began = time.perf_counter()
        secrets = self._job.secrets
        await asyncio.gather(*(self._ask_on(secrets[i % len(secrets)]) for i in range(self._job.clients)))
        self._load.seconds = time.perf_counter() - began
        return self._load

    async def _ask_on(self, secret: str) -> None:
        headers = {"Authorization": f"Bearer {secret}"}
        _, body, _ = self._route.request(fresh_key(), self._job.script, stream=bool(self._job.chunks))
        url = f"{self._job.url}{self._route.path}"
        while self._load.requests < self._job.requests:
            self._load.requests += 1
            began = time.perf_counter()
            try:
                async with self._http.post(url, json=body, headers=headers) as answer:
                    whole = await (self._stream(answer, began) if self._job.chunks else self._plain(answer))
            except (aiohttp.ClientError, asyncio.TimeoutError):
                whole = False
            self._load.failed += not whole

    async def _plain(self, answer: aiohttp.ClientResponse) -> bool:
        return answer.status == 200 and self._first_word in await answer.read()

    async def _stream(self, answer: aiohttp.ClientResponse, began: float) -> bool:
        first, last = False, b""
        async for data in answer.content.iter_any():
            if not first and self._first_word in data:
                first = True
                self._load.first.append(time.perf_counter() - began)
            last = data
        return first and b"[DONE]" in last


async def _main() -> dict[str, Any]:
    job = Job(**json.load(sys.stdin))
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector, timeout=_TIMEOUT) as http:
        return asdict(await _Clients(job, http).run())


if __name__ == "__main__":
    json.dump(asyncio.run(_main()), sys.stdout)
