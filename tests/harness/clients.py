"""Client programs: they read to the end, or hang up for real, at a moment the provider vouches for."""

from __future__ import annotations

import asyncio
import itertools
import secrets
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import httpx

from tests.harness.config import tools_id
from tests.harness.provider.script import Script, word
from tests.harness.routes import ROUTES, SERVER_ID

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.harness.keys import Key
    from tests.harness.provider.handle import Control
    from tests.harness.proxy import Proxy
    from tests.harness.routes import Route

TIMEOUT = httpx.Timeout(30)
# The status of an answer that its client did not wait for.
GAVE_UP = 599
_BROKEN_OFF = (httpx.RemoteProtocolError, httpx.ReadError)


@dataclass
class Answer:
    status: int
    text: str = field(repr=False)
    headers: dict[str, str] = field(repr=False)
    broken_off: bool = False
    """The connection ended before the body did."""

    def ended_well(self, route: Route) -> bool:
        return self.status == 200 and not self.broken_off and route.terminal in self.text


class Admission(NamedTuple):
    """Of requests that came at once: how many the provider held open together, how many were turned away."""

    admitted: int
    refused: int


class OpenStream:
    """A stream that its client is reading."""

    def __init__(self, response: httpx.Response, run: str) -> None:
        self.status = response.status_code
        self.run = run
        self._pieces = response.aiter_text()
        self.text = ""

    async def read_until(self, text: str) -> None:
        while text not in self.text:
            self.text += await anext(self._pieces)

    async def read_chunks(self, count: int) -> None:
        """Until that many of the provider's chunks have arrived."""
        await self.read_until(word(count - 1).strip())

    async def read_rest(self) -> None:
        """Until the body ends or breaks off."""
        try:
            async for piece in self._pieces:
                self.text += piece
        except _BROKEN_OFF:
            return


class Caller:
    """A user of one proxy, or of several like it in turn, who can see what the provider counts."""

    def __init__(self, proxy: Proxy, provider: Control, http: httpx.AsyncClient, *like_it: Proxy) -> None:
        self.proxy = proxy
        self._proxies = (proxy, *like_it)
        self._turn = itertools.cycle(self._proxies)
        self.provider = provider
        self._http = http
        self._runs: list[str] = []

    def url(self) -> str:
        """Of the proxy whose turn it is."""
        return next(self._turn).url

    def script(self) -> Script:
        """A script whose run is counted apart, and released when the test is over."""
        run = secrets.token_hex(6)
        self._runs.append(run)
        return Script(run)

    async def plain(self, route: Route, key: Key, script: Script | None = None) -> Answer:
        return await self.whole(route, key, script, stream=False)

    async def streamed(self, route: Route, key: Key, script: Script | None = None) -> Answer:
        """Ask for a stream and read it to its end, whichever that is."""
        return await self.whole(route, key, script, stream=True)

    @asynccontextmanager
    async def holding(self, key: Key, count: int, route: Route = ROUTES["chat"]) -> AsyncIterator[str]:
        """So many requests at the provider, which holds them until the block is left; they then succeed."""
        script = replace(self.script(), stall="headers")
        held = [asyncio.create_task(self.plain(route, key, script)) for _ in range(count)]
        await self.provider.wait(script.run, stalled=count)
        yield script.run
        await self.provider.release(script.run)
        assert [answer.status for answer in await asyncio.gather(*held)] == [200] * count

    @asynccontextmanager
    async def opened(self, route: Route, key: Key, script: Script, *, stream: bool = True) -> AsyncIterator[OpenStream]:
        """A stream to read bit by bit; leaving the block hangs up."""
        path, body, headers = route.request(key, str(script), stream=stream)
        asked = route.content(body)
        async with self._http.stream("POST", f"{self.url()}{path}", headers=headers, **asked) as response:
            yield OpenStream(response, script.run)

    async def hang_up_mid(self, route: Route, key: Key, after: int = 2) -> str:
        """Hang up when the provider holds after so many chunks, and they have arrived; returns the run."""
        script = replace(self.script(), stall=str(after), chunks=after + 2)
        async with self.opened(route, key, script) as stream:
            assert stream.status == 200, f"{route} was refused with {stream.status}"
            await self.provider.wait(script.run, stalled=1)
            await asyncio.wait_for(stream.read_chunks(after), 10)
        await self.left(script.run)
        return script.run

    async def hang_up_before_first(self, route: Route, key: Key, *, at: str = "0", stream: bool = True) -> str:
        """Hang up while the provider holds its headers (at="headers") or its first chunk; returns the run.

        A request that goes on without its client holds its slot rightly, so the provider then lets go. But first
        the proxy has a moment to hang up, and the chunks keep a distance: a stream that were whole at once would
        be over before the proxy can notice that nobody reads it.
        """
        script = replace(self.script(), stall=at, gap=0.1)
        asking = asyncio.create_task(self.whole(route, key, script, stream=stream))
        await self.provider.wait(script.run, stalled=1)
        assert not asking.done(), f"{route} answered before its provider did: {asking}"
        asking.cancel()
        await asyncio.wait([asking])
        await self.provider.hung_up(script.run, within=0.3)
        await self._finish(script.run)
        return script.run

    async def probed(self) -> dict[str, Any]:
        """What the worker itself says it holds; the proxy needs `beside/probe.py` beside its config."""
        return (await self.all_probed())[0]

    async def all_probed(self) -> list[dict[str, Any]]:
        """The same of each proxy."""
        answers = [await self._http.get(f"{proxy.url}/_probe") for proxy in self._proxies]
        return [answer.json() for answer in answers]

    async def ordered(self, path: str) -> None:
        """Ask for what a file beside the config does when it is posted to."""
        answer = await self._http.post(f"{self.proxy.url}{path}")
        assert answer.status_code == 200, answer.text

    async def left(self, run: str) -> None:
        """To be called when a stream was dropped: a proxy that can't notice it goes on, so its provider lets go."""
        if not self.proxy.setup.version.notices_hang_ups:
            await self._finish(run)

    async def admitted_at_once(self, key: Key, cap: int, route: Route = ROUTES["chat"], *, above: int = 2) -> Admission:
        """So many more than the cap at once, held open until each is either at the provider or refused."""
        script = replace(self.script(), stall="headers")
        asking = [asyncio.create_task(self.plain(route, key, script)) for _ in range(cap + above)]
        admitted = await asyncio.wait_for(self._all_decided(script.run, asking), 20)
        await self.provider.release(script.run)
        statuses = sorted([answer.status for answer in await asyncio.gather(*asking)])
        await self.provider.wait(script.run, open=0)
        refused = cap + above - admitted
        assert statuses == [200] * admitted + [429] * refused, f"{admitted} were admitted, but answered: {statuses}"
        return Admission(admitted, refused)

    async def let_go(self) -> None:
        """Let go of every request that the provider still holds for this caller."""
        await asyncio.gather(*(self.provider.release(run) for run in self._runs))

    async def _finish(self, run: str) -> None:
        await self.provider.release(run)
        await self.provider.wait(run, open=0)

    async def _all_decided(self, run: str, asking: list[asyncio.Task[Answer]]) -> int:
        while True:
            stalled = (await self.provider.counts(run)).stalled
            if stalled + sum(task.done() for task in asking) == len(asking):
                return stalled
            await asyncio.sleep(0.01)

    async def whole(self, route: Route, key: Key, script: Script | None, *, stream: bool) -> Answer:
        """Ask, and read to the end of the answer, or of the clients' patience after the provider's answer."""
        script = script or self.script()
        if not route.patience:
            return await self._whole(route, key, script, stream=stream)
        asking = asyncio.create_task(self._whole(route, key, script, stream=stream))
        waiting = asyncio.create_task(self._in_vain(script.run, route.patience))
        try:
            await asyncio.wait([asking, waiting], return_when=asyncio.FIRST_COMPLETED)
            return asking.result() if asking.done() else Answer(GAVE_UP, "", {})
        finally:
            asking.cancel()
            waiting.cancel()
            await asyncio.wait([asking, waiting])

    async def _in_vain(self, run: str, patience: float) -> None:
        # Counted from the question on, clients of a busy machine left while LiteLLM was opening its session with the
        # tools' server: nobody had asked the provider, and the cell had not ended as it was to.
        await self.provider.comes_to(run, within=6, answered=1)
        await asyncio.sleep(patience)

    async def _whole(self, route: Route, key: Key, script: Script, *, stream: bool) -> Answer:
        path, body, headers = route.request(key, str(script), stream=stream)
        if body.get("server_id") == SERVER_ID:
            body["server_id"] = tools_id(self.proxy.setup)
        asked = route.content(body)
        async with self._http.stream("POST", f"{self.url()}{path}", headers=headers, **asked) as response:
            answer = Answer(response.status_code, "", dict(response.headers))
            try:
                async for piece in response.aiter_text():
                    answer.text += piece
            except _BROKEN_OFF:
                answer.broken_off = True
            answer.status = route.status(answer.status, answer.text)
            return answer
