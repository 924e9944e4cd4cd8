"""Play a cell and ask the world what it left behind."""

from __future__ import annotations

import asyncio
import re
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

import aiohttp
import httpx

from tests.exits.endings import ENDINGS
from tests.exits.session_endings import SESSION_ENDINGS
from tests.harness.clients import TIMEOUT, Caller
from tests.harness.keys import fresh_key
from tests.harness.provider.handle import Control
from tests.harness.routes import ROUTES, SOCKETS
from tests.harness.witness import gauge, lasting, settled, wait_until
from tests.matrix.cells import streamed

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.harness.config import Setup
    from tests.harness.keys import Key
    from tests.harness.provider.handle import Provider
    from tests.harness.proxy import Proxies, Proxy
    from tests.harness.redis_server import RedisServer
    from tests.matrix.cells import Cell

CAP = 4
REQUESTS = 3
# More only make each other slow: one worker serves them all.
SIDE_BY_SIDE = 12
# A session whose client has left is still being opened for a while, on a busy machine.
SETTLE_SECONDS = 5
_FAULTS = (AssertionError, httpx.HTTPError, aiohttp.ClientError, TimeoutError, asyncio.TimeoutError)
# A client that is left waiting for ever shall cost its own cell, not the run.
STEP_SECONDS = 60

_GUARDRAILS = """
litellm_settings: {{cache: true, cache_params: {{type: redis, host: 127.0.0.1, port: {port}, mode: default_off}}}}
guardrails:
- {{guardrail_name: before, litellm_params: {{guardrail: refusing.Before, mode: {before}, default_on: true}}}}
- {{guardrail_name: during, litellm_params: {{guardrail: refusing.During, mode: during_call, default_on: true}}}}
- {{guardrail_name: answer, litellm_params: {{guardrail: refusing.Answer, mode: post_call, default_on: true}}}}
"""
_CANCELLING = "general_settings: {cancel_on_disconnect: true}\n"

_ASIDE = re.compile(r"cancel_guard: (\S+ (?:stands aside|taken out): .*)")


@dataclass
class Result:
    """What a cell left behind; `fault` says that the request could not be made to end that way.

    Attributes:
        in_redis: the slots that Redis held while a stream of that route ran; None where none was looked for.
    """

    left: int = 0
    admitted: int = 0
    held: int = 0
    lasting: list[str] = field(default_factory=list)
    fault: str = ""
    in_redis: int | None = None

    @property
    def balanced(self) -> bool:
        return replace(self, in_redis=None) == Result(admitted=CAP)

    @property
    def seen(self) -> bool:
        """Whether a stream's one slot lay in Redis, where that was asked."""
        return self.in_redis in (None, 1)

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def setup_of(usual: Setup, *, cancelling: bool) -> Setup:
    """The proxy on which such cells are played."""
    settings = _GUARDRAILS.format(port=usual.redis_port, before="[pre_call, pre_mcp_call]")
    settings += _CANCELLING if cancelling else ""
    beside = ("probe.py", "refusing.py")
    return replace(usual, settings=settings, callbacks=("probe.probe",), beside=beside)


class Table:
    """Plays cells side by side on the proxies of one version."""

    def __init__(
        self, usual: Setup, proxies: Proxies, provider: Provider, redis_server: RedisServer, *, workers: int = 1
    ) -> None:
        self._usual = usual
        self._workers = workers
        self._proxies = proxies
        self._provider = provider
        self._store = redis_server.client
        self._gate = asyncio.Semaphore(SIDE_BY_SIDE)

    async def play(self, cells: Iterable[Cell]) -> tuple[dict[Cell, Result], dict[str, Any]]:
        """Return what each cell left behind, and what the workers say at the end that they still hold."""
        results: dict[Cell, Result] = {}
        remains: dict[str, Any] = {}
        cells = list(cells)
        for cancelling in (False, True):
            chosen = [cell for cell in cells if cell.cancelling is cancelling]
            if chosen:
                setup = setup_of(self._usual, cancelling=cancelling)
                # Workers of one server are asked as chance has it; proxies on one Redis in turn.
                alike = [self._proxies.shared(replace(setup, number=at)) for at in range(self._workers)]
                results |= await self._on(alike, chosen)
                remains |= await self._at_rest(alike)
        return results, remains

    async def _on(self, alike: list[Proxy], cells: list[Cell]) -> dict[Cell, Result]:
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=0)
        async with httpx.AsyncClient(timeout=TIMEOUT, limits=limits, trust_env=False, verify=False) as http:
            provider = Control(self._provider, http)
            callers = [Caller(alike[0], provider, http, *alike[1:]) for _ in cells]
            # LiteLLM starts its MCP sessions in the first call, and loses others that come meanwhile (1.94, 1.103).
            for proxy in alike:
                await Caller(proxy, provider, http).plain(ROUTES["mcp"], fresh_key(cap=None))
            played = [self._cell(caller, cell) for caller, cell in zip(callers, cells, strict=True)]
            return dict(zip(cells, await asyncio.gather(*played), strict=True))

    async def _cell(self, caller: Caller, cell: Cell) -> Result:
        async with self._gate:
            key, result = fresh_key(cap=CAP), Result()
            for step in (self._see, self._end, self._measure):
                try:
                    await asyncio.wait_for(step(caller, cell, key, result), STEP_SECONDS)
                except _FAULTS as fault:
                    result.fault = result.fault or f"{type(fault).__name__}: {str(fault)[:600]}"
                await caller.let_go()
            return result

    async def _see(self, caller: Caller, cell: Cell, key: Key, result: Result) -> None:
        """A guard that counts in its process alone balances every cell, and no other worker knows of its slots."""
        if not streamed(cell, self._usual.version):
            return
        script, other = replace(caller.script(), stall="2"), fresh_key(cap=CAP)
        async with caller.opened(ROUTES[cell.route], other, script) as stream:
            await stream.read_chunks(2)
            result.in_redis = gauge(self._store, other)
        await caller.left(script.run)

    async def _end(self, caller: Caller, cell: Cell, key: Key, result: Result) -> None:
        for _ in range(REQUESTS):
            if cell.route in SOCKETS:
                await SESSION_ENDINGS[cell.ending](caller, SOCKETS[cell.route], key)
            else:
                await ENDINGS[cell.ending](caller, ROUTES[cell.route], key)

    async def _measure(self, caller: Caller, cell: Cell, key: Key, result: Result) -> None:
        result.left = await settled(lambda: gauge(self._store, key), 0, within=SETTLE_SECONDS)
        result.held = sum(one["held"].get(f"api_key:{key.name}", 0) for one in await caller.all_probed())
        result.admitted = (await caller.admitted_at_once(key, cap=CAP)).admitted
        result.left = result.left or await settled(lambda: gauge(self._store, key), 0)
        result.lasting = lasting(self._store, key)

    async def _at_rest(self, alike: list[Proxy]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        async with httpx.AsyncClient(timeout=TIMEOUT, trust_env=False, verify=False) as http:
            caller = Caller(alike[0], Control(self._provider, http), http, *alike[1:])

            async def rests() -> bool:
                found["workers"] = await caller.all_probed()
                return all((one["requests"], one["at_work"], one["held"]) == (0, 0, {}) for one in found["workers"])

            try:
                await wait_until(rests, "nothing is left in the registry")
            except AssertionError:
                return found
        aside = {line for proxy in alike for line in _ASIDE.findall(proxy.text())}
        return {"aside": sorted(aside)} if aside else {}
