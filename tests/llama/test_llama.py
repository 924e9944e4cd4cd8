"""llama.cpp's server as the provider: killed, paused and overfilled in mid-stream, each is an error to the client."""

from __future__ import annotations

import asyncio
import signal
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, NamedTuple

import pytest

from tests.harness.config import Setup
from tests.harness.keys import fresh_key
from tests.harness.routes import ROUTES
from tests.harness.witness import gauge, settled
from tests.llama.server import Llama

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    import httpx

    from tests.harness.keys import Key
    from tests.harness.proxy import Proxies, Proxy
    from tests.harness.redis_server import RedisServer
    from tests.harness.routes import Route
    from tests.harness.versions import Version

pytestmark = [pytest.mark.servers, pytest.mark.timeout(240)]


class Between(NamedTuple):
    llama: Llama
    proxy: Proxy
    http: httpx.AsyncClient


STREAMED = [ROUTES[name] for name in ("chat", "messages", "responses")]
# How an answer ends that is as long as was asked for. On the Responses API, which LiteLLM 1.110 asks for /v1/messages,
# too, llama-server b10068 calls it completed: see findings/llama-server-completes-what-it-cut.sh.
WHOLE = {"chat": '"finish_reason":"length"', "messages": "message_stop", "responses": "response.completed"}
IDLE_SECONDS = 2.0
ENDLESS, ROOMY, NARROW = 30000, 32768, 4096


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Llama]:
    server = Llama(tmp_path_factory.mktemp("llama"))
    yield server
    server.close()


@pytest.fixture(scope="module")
def proxy(proxies: Proxies, litellm_version: Version, redis_server: RedisServer, llama: Llama) -> Iterator[Proxy]:
    """A guarded proxy before it, whose provider may be silent for two seconds."""
    llama.serve(ROOMY)
    started = proxies.start(
        Setup(
            litellm_version,
            guarded=True,
            provider=llama.url,
            redis_port=redis_server.port,
            env=(("CANCEL_GUARD_IDLE_TIMEOUT", f"{IDLE_SECONDS:g}"),),
            warm=False,
        )
    )
    yield started
    started.stop()


@pytest.fixture
def between(llama: Llama, proxy: Proxy, http: httpx.AsyncClient) -> Between:
    """Who is asked, through what, by whom."""
    return Between(llama, proxy, http)


@asynccontextmanager
async def asked(
    http: httpx.AsyncClient, proxy: Proxy, route: Route, key: Key, tokens: int
) -> AsyncIterator[httpx.Response]:
    """An answer of so many tokens, as it comes."""
    path, body, headers = route.request(key, "Say something.", stream=True)
    most = "max_output_tokens" if route.name == "responses" else "max_tokens"
    async with http.stream("POST", f"{proxy.url}{path}", json={**body, most: tokens}, headers=headers) as answer:
        yield answer


async def read_on(pieces: AsyncIterator[str]) -> str:
    return "".join([piece async for piece in pieces])


def compact(text: str) -> str:
    return text.replace('": ', '":')


async def at_rest(redis_server: RedisServer, key: Key) -> None:
    assert await settled(lambda: gauge(redis_server.client, key), 0) == 0


@pytest.mark.parametrize("route", STREAMED, ids=str)
async def test_an_answer_that_is_as_long_as_was_asked_for_is_whole(
    between: Between, redis_server: RedisServer, route: Route
) -> None:
    llama, proxy, http = between
    llama.serve(ROOMY)
    one = fresh_key(cap=2)
    async with asked(http, proxy, route, one, 20) as answer:
        text = compact(await read_on(answer.aiter_text()))
    assert answer.status_code == 200
    assert WHOLE[route.name] in text, text[-1500:]
    assert '"error":{' not in text
    await at_rest(redis_server, one)


@pytest.mark.parametrize("went", [(signal.SIGKILL, 503), (signal.SIGSTOP, 504)], ids=["killed", "paused"])
@pytest.mark.parametrize("route", STREAMED, ids=str)
async def test_a_server_that_goes_in_mid_stream_is_an_error(
    between: Between, redis_server: RedisServer, route: Route, went: tuple[signal.Signals, int]
) -> None:
    llama, proxy, http = between
    number, code = went
    llama.serve(ROOMY)
    one = fresh_key(cap=2)
    async with asked(http, proxy, route, one, ENDLESS) as answer:
        pieces = answer.aiter_text()
        first = await anext(pieces)
        while "delta" not in first:
            first += await anext(pieces)
        llama.signal(number)
        try:
            text = compact(first + await asyncio.wait_for(read_on(pieces), 30))
        finally:
            llama.signal(signal.SIGCONT)
    assert_failed(route, text, code)
    await at_rest(redis_server, one)


@pytest.mark.parametrize("route", STREAMED, ids=str)
async def test_a_server_whose_memory_two_answers_overfill_is_an_error_to_both(
    between: Between, redis_server: RedisServer, route: Route
) -> None:
    """Two share what holds one: llama-server says so of both in mid-stream, in-band, and sends no [DONE]."""
    llama, proxy, http = between
    llama.serve(NARROW)
    one = fresh_key(cap=2)

    async def one_of_two() -> str:
        async with asked(http, proxy, route, one, ENDLESS) as answer:
            return compact(await read_on(answer.aiter_text()))

    for text in await asyncio.gather(one_of_two(), one_of_two()):
        assert_failed(route, text, 500)
    await at_rest(redis_server, one)


def assert_failed(route: Route, text: str, code: int) -> None:
    """The stream's last event is an error of its protocol, with that status where the protocol has one."""
    last = text.rstrip().removesuffix("data: [DONE]").rstrip().split("\n\n")[-1]
    assert "error" in last, text[-1500:]
    if route.name == "chat":
        assert f'"code":"{code}"' in last, last
    assert not any(end in last for end in ("message_stop", "response.completed", '"finish_reason":"stop"'))
