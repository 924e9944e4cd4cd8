"""A process of arrivals: `python -m benchmarks.open_loop`, told by JSON when to ask, answering in JSON how it went.

Requests begin at a fixed rate, whatever has become of those before. A latency counts from when its request should have
begun: clients that wait for an answer before they ask again leave out just the time in which nobody is served
(coordinated omission).
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

import aiohttp

from tests.harness.keys import fresh_key
from tests.harness.provider.script import word
from tests.harness.routes import ROUTES

_ROOT = Path(__file__).parents[1]
_TIMEOUT = aiohttp.ClientTimeout(total=60)
# Until the first is due the client has made itself ready.
_LEAD_SECONDS = 0.1


@dataclass(frozen=True)
class Arrivals:
    """What to ask, and when.

    Attributes:
        rate: requests a second.
        chunks: of each stream; 0 for plain answers.
    """

    url: str
    script: str
    secrets: list[str]
    rate: float
    seconds: float
    chunks: int = 0

    def due(self) -> list[float]:
        """Return when each request is to begin, in seconds."""
        return [number / self.rate for number in range(max(1, round(self.rate * self.seconds)))]


@dataclass
class Arrived:
    """How it went, request by request in the order in which they were due.

    Attributes:
        begun: when the first was due, by CLOCK_MONOTONIC, which all processes share.
        first: seconds to the first content of each stream.
        whole: seconds to the end of each answer.
    """

    begun: float
    failed: int = 0
    first: list[float] = field(default_factory=list)
    whole: list[float] = field(default_factory=list)


def started(arrivals: Arrivals) -> subprocess.Popen[str]:
    """Start the process, on the cores of the caller; its first request is due as soon as it is ready."""
    child = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.open_loop"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(_ROOT)},
        text=True,
    )
    assert child.stdin is not None
    child.stdin.write(json.dumps(asdict(arrivals)))
    child.stdin.close()
    return child


def ended(child: subprocess.Popen[str]) -> Arrived:
    """Wait for the last answer."""
    with child:
        assert child.stdout is not None
        said = child.stdout.read()
    if child.returncode:
        raise RuntimeError("the clients could not ask; what they said is above")
    return Arrived(**json.loads(said))


def play(arrivals: Arrivals) -> Arrived:
    return ended(started(arrivals))


class _Clients:
    def __init__(self, arrivals: Arrivals, http: aiohttp.ClientSession) -> None:
        self._arrivals = arrivals
        self._http = http
        route = ROUTES["chat"]
        _, self._body, _ = route.request(fresh_key(), arrivals.script, stream=bool(arrivals.chunks))
        self._url = f"{arrivals.url}{route.path}"
        self._first_word = word(0).strip().encode()

    async def run(self) -> Arrived:
        begun, asked = time.monotonic() + _LEAD_SECONDS, []
        for number, due in enumerate(self._arrivals.due()):
            await asyncio.sleep(max(0.0, begun + due - time.monotonic()))
            asked.append(asyncio.create_task(self._ask(number, begun + due)))
        answers = await asyncio.gather(*asked)
        whole = [answer for answer in answers if answer is not None]
        return Arrived(begun, len(answers) - len(whole), *(list(times) for times in zip(*whole, strict=True)))

    async def _ask(self, number: int, due: float) -> tuple[float, float] | None:
        """Return the seconds to the first content and to the end; None for a request that failed."""
        secrets = self._arrivals.secrets
        headers = {"Authorization": f"Bearer {secrets[number % len(secrets)]}"}
        try:
            async with self._http.post(self._url, json=self._body, headers=headers) as answer:
                first, last = await self._read(answer)
        except (aiohttp.ClientError, asyncio.TimeoutError):
            return None
        complete = b"[DONE]" in last if self._arrivals.chunks else True
        return (first - due, time.monotonic() - due) if answer.status == 200 and first and complete else None

    async def _read(self, answer: aiohttp.ClientResponse) -> tuple[float, bytes]:
        first, last = 0.0, b""
        async for data in answer.content.iter_any():
            if not first and self._first_word in data:
                first = time.monotonic()
            last = data
        return first, last


async def ask(arrivals: Arrivals) -> Arrived:
    """Ask what is due, in this process."""
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector, timeout=_TIMEOUT) as http:
        return await _Clients(arrivals, http).run()


if __name__ == "__main__":
    json.dump(asdict(asyncio.run(ask(Arrivals(**json.load(sys.stdin))))), sys.stdout)
