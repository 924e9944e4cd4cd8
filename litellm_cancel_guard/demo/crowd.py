"""Eight agents at once on one key that admits two: refused and asking again, and waiting in line."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from litellm_cancel_guard.demo.children import DemoError
from litellm_cancel_guard.demo.proxy import CROWD_CAP, MODEL, ask

if TYPE_CHECKING:
    import httpx

    from litellm_cancel_guard.demo.proxy import Proxy

AGENTS, QUESTIONS = 8, 2
TITLE = f"{AGENTS} agents at once on a key that admits {CROWD_CAP}, {QUESTIONS} questions each"
_PATIENCE_SECONDS = 90.0


@dataclass(frozen=True, slots=True)
class Crowd:
    """How it went for the agents of one key.

    Attributes:
        refused: how often one of them was answered with 429, and asked again when it said.
        seconds: until the last of them had its last answer.
        slowest: seconds in which the slowest answer came, refusals before it included.
    """

    refused: int
    seconds: float
    slowest: float

    def told(self) -> str:
        """Return it in words."""
        return (
            f"{AGENTS * QUESTIONS} answers in {self.seconds:.1f} s, the slowest took {self.slowest:.1f} s; "
            f"refused: {self.refused}"
        )


async def crowded(proxy: Proxy, key: str) -> Crowd:
    """Have the agents ask `proxy` with `key`.

    Raises:
        DemoError: where the proxy answers otherwise than with an answer or a refusal, or the agents wait too long.
    """
    began = time.monotonic()
    async with proxy.client(key) as http:
        try:
            agents = asyncio.gather(*(_agent(proxy, http) for _ in range(AGENTS)))
            took = await asyncio.wait_for(agents, _PATIENCE_SECONDS)
        except asyncio.TimeoutError:
            raise DemoError(f"The agents had no answers within {_PATIENCE_SECONDS:g} s.") from None
    asked = [each for agent in took for each in agent]
    return Crowd(sum(refused for refused, _ in asked), time.monotonic() - began, max(seconds for _, seconds in asked))


async def _agent(proxy: Proxy, http: httpx.AsyncClient) -> list[tuple[int, float]]:
    return [await _answer(proxy, http) for _ in range(QUESTIONS)]


async def _answer(proxy: Proxy, http: httpx.AsyncClient) -> tuple[int, float]:
    began, refused = time.monotonic(), 0
    while True:
        response = await http.post("/v1/messages", json=ask(MODEL, stream=False))
        if not await proxy.refuses(response):
            return refused, time.monotonic() - began
        refused += 1
        await asyncio.sleep(float(response.headers.get("retry-after", 1)))
