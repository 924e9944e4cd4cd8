"""A process that holds streams open: `python -m benchmarks.streams`, until its input is closed."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiohttp

from tests.harness.keys import fresh_key
from tests.harness.provider.script import Script
from tests.harness.routes import ROUTES

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_ROOT = Path(__file__).parents[1]
_ENDLESS = 1_000_000
_OPENED = "opened"


@contextmanager
def held(url: str, secrets: Sequence[str], gap_seconds: float) -> Iterator[subprocess.Popen[str]]:
    """Hold one stream open for each key, with a chunk every so many seconds; they are hung up at the end.

    Yields the process that holds them: once it is killed, the kernel hangs them all up at once.
    """
    order = {"url": url, "secrets": list(secrets), "gap": gap_seconds}
    child = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.streams", json.dumps(order)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(_ROOT)},
        text=True,
    )
    assert child.stdin is not None
    assert child.stdout is not None
    try:
        if child.stdout.readline().strip() != _OPENED:
            raise RuntimeError(f"not all of {len(secrets)} streams could be opened at {url}")
        yield child
    finally:
        child.stdin.close()
        child.wait(30)


async def _main() -> None:
    order = json.loads(sys.argv[1])
    timeout = aiohttp.ClientTimeout(total=None)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), timeout=timeout) as http:
        # One after another: opened at once they would wait for one another, and some time out.
        answers = [await _open(http, order, secret) for secret in order["secrets"]]
        reading = [asyncio.create_task(_read(answer)) for answer in answers]
        print(_OPENED, flush=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
        for task in reading:
            task.cancel()


async def _open(http: aiohttp.ClientSession, order: dict[str, Any], secret: str) -> aiohttp.ClientResponse:
    route = ROUTES["chat"]
    script = Script("held", chunks=_ENDLESS, gap=order["gap"])
    _, body, _ = route.request(fresh_key(), str(script), stream=True)
    answer = await http.post(f"{order['url']}{route.path}", json=body, headers={"Authorization": f"Bearer {secret}"})
    answer.raise_for_status()
    return answer


async def _read(answer: aiohttp.ClientResponse) -> None:
    async for _ in answer.content.iter_any():
        pass


if __name__ == "__main__":
    asyncio.run(_main())
