"""Play the script of requests against a bare and a guarded proxy, and write down what each of them did."""

from __future__ import annotations

import asyncio
import json
import re
import secrets
from collections import defaultdict
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import httpx

from tests.difference.limits import KINDS, TAG, LimitedKey
from tests.harness.clients import TIMEOUT
from tests.harness.config import tools_id
from tests.harness.provider.handle import Control
from tests.harness.provider.script import Script, word
from tests.harness.routes import ROUTES, SERVER_ID

if TYPE_CHECKING:
    from collections.abc import Iterable

    import redis

    from tests.difference.cases import Case
    from tests.harness.config import Setup
    from tests.harness.provider.handle import Provider
    from tests.harness.proxy import Proxy

SIDE_BY_SIDE = 10
# A provider that nobody reads any more is let go after so long: soon where no hang-up is noticed. Where it is, a proxy
# that is slow to do so, of ten requests at once beside an APM, would still read what the other's provider never sent.
_NEVER_NOTICED, _NOTICED_WITHIN = 0.4, 2.0
_PATIENCE = 20.0
_BROKEN_OFF = (httpx.RemoteProtocolError, httpx.ReadError)
# Nothing came in Redis and nothing was told for so long: LiteLLM is done. The guard gathers tokens for 0.2 s.
_QUIET_SECONDS = 1.5
_AT_REST_WITHIN = 30.0


@dataclass
class Seen:
    """What one proxy did with one case."""

    key: LimitedKey
    status: int = 0
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: str = ""
    end: str = ""
    """How the answer ended: `whole`, `broken off`, `left` by its client, or `never`."""
    asked: int = 0
    """How many requests its provider got."""
    told: list[dict[str, Any]] = field(default_factory=list)


@dataclass
class Side:
    """A proxy, and the Redis that it has for itself; `seen` is filled by `play`."""

    proxy: Proxy
    store: redis.Redis
    number: int
    """A digit, which is all that tells this side's requests from the other's: their tokens are counted alike."""
    seen: dict[Case, Seen] = field(default_factory=dict)
    stored: dict[str, Any] = field(default_factory=dict)
    """Redis at rest: for each key its type, value and seconds to live."""
    told: dict[Any, list[dict[str, Any]]] = field(default_factory=dict)
    """What its callback was told of keys that no case has, by the key that LiteLLM named."""
    warm: LimitedKey | None = None
    """The key that asked before any case; what it left counts for nothing."""


def setup_of(usual: Setup, *, guarded: bool, redis_port: int) -> Setup:
    """The proxy of one side: with a callback that is told everything, behind the guard's."""
    settings = "general_settings: {custom_auth: limited.user_api_key_auth}\n"
    beside = ("limited.py", "telling.py")
    return replace(
        usual,
        guarded=guarded,
        redis_port=redis_port,
        settings=settings,
        callbacks=("telling.teller",),
        beside=beside,
    )


async def play(sides: tuple[Side, Side], provider: Provider, cases: Iterable[Case]) -> None:
    """Play the cases against both sides, each on both at once, and wait until both are at rest."""
    mixes = sides[0].proxy.setup.version.mixes_streams
    gate, session = asyncio.Semaphore(1 if mixes else SIDE_BY_SIDE), secrets.token_hex(3)
    # Each answer ends where its connection says so.
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=0)
    async with httpx.AsyncClient(timeout=TIMEOUT, limits=limits, trust_env=False, verify=False) as http:
        players = [_Player(side, Control(provider, http), http) for side in sides]
        cases = list(cases)
        # LiteLLM starts its MCP sessions in the first call, and loses others that come meanwhile (1.94, 1.103).
        await asyncio.gather(*(player.warm_up() for player in players))

        async def one(number: int, case: Case) -> None:
            async with gate:
                await asyncio.gather(*(player.case(case, f"{session}.{number}") for player in players))

        await asyncio.gather(*(one(number, case) for number, case in enumerate(cases)))
    for side in sides:
        await _rest(side)


class _Player:
    def __init__(self, side: Side, provider: Control, http: httpx.AsyncClient) -> None:
        self._side = side
        self._provider = provider
        self._http = http

    async def warm_up(self) -> None:
        key = KINDS["free"].key()
        path, body, headers = self._request("mcp", key, Script("warm"), stream=False)
        await self._http.post(f"{self._side.proxy.url}{path}", json=body, headers=headers)
        self._side.warm = key

    async def case(self, case: Case, ident: str) -> None:
        seen = self._side.seen[case] = Seen(case.kind.key())
        script = Script(f"{ident}.{self._side.number}", **case.act.script)
        try:
            await asyncio.wait_for(self._ask(case, script, seen), case.route.patience or _PATIENCE)
        except (TimeoutError, asyncio.TimeoutError):
            seen.end = "never"
        finally:
            await self._provider.release(script.run)
        seen.asked = (await self._provider.counts(script.run)).total

    def _request(
        self, route: str, key: LimitedKey, script: Script, *, stream: bool
    ) -> tuple[str, dict[str, Any], dict[str, str]]:
        path, body, headers = ROUTES[route].request(key.key, str(script), stream=stream)
        if body.get("server_id") == SERVER_ID:
            body["server_id"] = tools_id(self._side.proxy.setup)
        return path, body, {**headers, "x-litellm-tags": TAG}

    async def _ask(self, case: Case, script: Script, seen: Seen) -> None:
        path, body, headers = self._request(case.route.name, seen.key, script, stream=case.act.stream)
        headers |= dict(case.act.headers)
        asking = self._http.stream("POST", f"{self._side.proxy.url}{path}", json=body, headers=headers)
        if case.act.leaves == "first":
            await self._leave_first(script.run, asking, seen)
            return
        async with asking as response:
            await self._read(case, script, response, seen)
        if case.act.leaves:
            await self._hung_up(script.run)

    async def _leave_first(self, run: str, asking: Any, seen: Seen) -> None:
        async def answered() -> None:
            async with asking as response:
                await response.aread()
            seen.status, seen.headers, seen.body = response.status_code, response.headers.multi_items(), response.text

        client = asyncio.create_task(answered())
        stalled = asyncio.create_task(self._provider.wait(run, stalled=1))
        # A proxy that refuses, or fails before it has asked the provider, is seen to do so.
        await asyncio.wait([client, stalled], return_when=asyncio.FIRST_COMPLETED)
        seen.end = "whole" if client.done() else "left"
        for task in (client, stalled):
            task.cancel()
        await asyncio.wait([client, stalled])
        await self._hung_up(run)

    async def _hung_up(self, run: str) -> None:
        notices = self._side.proxy.setup.version.notices_hang_ups
        await self._provider.hung_up(run, within=_NOTICED_WITHIN if notices else _NEVER_NOTICED)

    async def _read(self, case: Case, script: Script, response: httpx.Response, seen: Seen) -> None:
        seen.status, seen.headers = response.status_code, response.headers.multi_items()
        last = word(int(script.stall) - 1).strip() if script.stall else None
        try:
            async for piece in response.aiter_text():
                seen.body += piece
                if last is not None and last in seen.body:
                    if case.act.leaves:
                        seen.end = "left"
                        return
                    last = None
                    await self._provider.release(script.run)
            seen.end = "whole"
        except _BROKEN_OFF:
            seen.end = "broken off"


async def _rest(side: Side) -> None:
    """Wait until nothing changes any more, and read what lies there."""
    loop = asyncio.get_running_loop()
    began = since = loop.time()
    before: Any = None
    while loop.time() - since < _QUIET_SECONDS and loop.time() - began < _AT_REST_WITHIN:
        now = (_values(_stored(side.store)), _told(side.proxy))
        if now != before:
            before, since = now, loop.time()
        await asyncio.sleep(0.2)
    side.stored = _stored(side.store)
    told: dict[Any, list[dict[str, Any]]] = defaultdict(list)
    for event in _told(side.proxy):
        told[event.pop("key")].append(event)
    side.told = dict(told)
    for seen in side.seen.values():
        seen.told = side.told.pop(seen.key.key.name, [])


def _values(stored: dict[str, Any]) -> dict[str, Any]:
    """Without what passes by itself, and without the heartbeat's scores."""
    return {name: entry["value"] for name, entry in stored.items() if entry["type"] == "string"}


def _stored(store: Any) -> dict[str, Any]:
    names = sorted(store.scan_iter(count=1000))
    pipe = store.pipeline(transaction=False)
    for name in names:
        pipe.type(name)
        pipe.ttl(name)
    facts = pipe.execute()
    kinds, lives = facts[::2], facts[1::2]
    for name, kind in zip(names, kinds, strict=True):
        pipe.get(name) if kind == "string" else pipe.exists(name)
    values = pipe.execute()
    return {
        name: {"type": kind, "value": value, "lives": lives_for}
        for name, kind, value, lives_for in zip(names, kinds, values, lives, strict=True)
    }


def _told(proxy: Proxy) -> list[dict[str, Any]]:
    file = proxy.log.parent / "told.jsonl"
    lines = file.read_text().splitlines() if file.exists() else []
    return [json.loads(line) for line in lines]


_RAISED = re.compile(r"^(?:\w+\.)*(\w+(?:Error|Exception|Warning))\b", re.MULTILINE)


def raised_in_the_log(proxy: Proxy) -> set[str]:
    """The names of the exceptions with which tracebacks in the log end."""
    return set(_RAISED.findall(proxy.text()))
