"""Over HTTP/2 a client leaves a stream and keeps its connection, and a server may never be rid of an answer."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import pytest

from tests.harness import tls, venvs
from tests.harness.http2 import Http2, connected
from tests.harness.keys import fresh_key
from tests.harness.provider.script import word
from tests.harness.routes import ROUTES
from tests.harness.witness import gauge, settled

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.harness.clients import Caller
    from tests.harness.config import Setup
    from tests.harness.keys import Key
    from tests.harness.redis_server import RedisServer

LEASE_SECONDS = 3
WITHOUT_TLS = ["hypercorn", "granian"]
WITH_TLS = ["hypercorn-tls", "granian-tls"]
STREAMED = ("chat", "messages", "responses", "pass_anthropic", "pass_custom")


@pytest.fixture(scope="module")
def tls_arguments(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ...]:
    return tls.arguments(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def server(
    request: pytest.FixtureRequest, shared: Callable[..., Caller], setup: Setup, tls_arguments: tuple[str, ...]
) -> Caller:
    """A caller of a proxy that speaks HTTP/2: over TLS to who chooses it there, without to who begins with it."""
    name, _, secure = str(request.param).partition("-")
    if not setup.version.at_least(1, 87):
        pytest.skip(f"LiteLLM {setup.version} has no --run_{name}, or it is played by HTTP/1.1 alone")
    venvs.add_program(setup.version, name)
    lease = ("CANCEL_GUARD_LEASE_SECONDS", str(LEASE_SECONDS))
    return shared(arguments=(f"--run_{name}", *(tls_arguments if secure else ())), forks=False, env=(lease,))


async def begun(http2: Http2, number: int) -> None:
    await http2.until(lambda: word(1).strip() in http2.texts[number])


@pytest.mark.parametrize("server", [*WITHOUT_TLS, *WITH_TLS], indirect=True)
@pytest.mark.parametrize("name", STREAMED)
async def test_a_stream_is_whole_and_one_that_its_client_resets_gives_its_slot_back(
    server: Caller, key: Key, redis_server: RedisServer, name: str
) -> None:
    route, script, stays = ROUTES[name], replace(server.script(), stall="2"), replace(server.script(), stall="2")
    async with connected(server.url()) as http2:
        left = http2.ask(route, key, str(script), stream=True)
        whole = http2.ask(route, key, str(stays), stream=True)
        for number in (left, whole):
            await begun(http2, number)
        held = gauge(redis_server.client, key)
        http2.reset(left)
        still = await settled(partial(gauge, redis_server.client, key), 1)
        gone = await server.provider.hung_up(script.run, within=5)
        await server.provider.release(stays.run)
        await http2.until(lambda: whole in http2.over)
        assert (held, still, gone) == (2, 1, True)
        assert (http2.statuses[whole], route.terminal in http2.texts[whole]) == (200, True)
        assert await settled(partial(gauge, redis_server.client, key), 0) == 0


@pytest.mark.parametrize("server", [*WITHOUT_TLS, *WITH_TLS], indirect=True)
@pytest.mark.parametrize("ends", ["closes", "aborts"])
async def test_a_client_whose_connection_is_gone_gives_all_its_slots_back(
    server: Caller, key: Key, redis_server: RedisServer, ends: str
) -> None:
    """Of one that is killed no server is told more than that."""
    silent, flowing = replace(server.script(), stall="2"), replace(server.script(), chunks=400, gap=0.05)
    async with connected(server.url()) as http2:
        asked = [
            http2.ask(ROUTES[name], key, str(script), stream=True)
            for name in ("messages", "pass_custom")
            for script in (silent, flowing)
        ]
        for number in asked:
            await begun(http2, number)
        held = gauge(redis_server.client, key)
        if ends == "aborts":
            http2.abort()
    gone = [await server.provider.comes_to(script.run, 5, hung_up=2) for script in (silent, flowing)]
    assert (held, gone) == (4, [True, True])
    assert await settled(partial(gauge, redis_server.client, key), 0) == 0


@pytest.mark.parametrize("server", WITHOUT_TLS, indirect=True)
@pytest.mark.parametrize(
    ("stream", "stays"), [(False, True), (False, False), (True, False)], ids=["plain-stays", "plain", "stream"]
)
@pytest.mark.parametrize("name", ["chat", "pass_custom"])
async def test_an_answer_that_its_client_never_takes_holds_no_slot_for_longer_than_a_lease(
    server: Caller, redis_server: RedisServer, name: str, *, stream: bool, stays: bool
) -> None:
    """hypercorn comes back from no `send()` of the last message then, whether or not the connection is still there.

    A stream of which a client that stays takes nothing has not ended: granian takes no second chunk of it.
    """
    one, script = fresh_key(cap=1), server.script()
    read = partial(gauge, redis_server.client, one)
    async with connected(server.url(), takes=False) as http2:
        number = http2.ask(ROUTES[name], one, str(script), stream=stream)
        await http2.until(lambda: number in http2.statuses)
        await server.provider.wait(script.run, answered=1, open=0)
        left = await settled(read, 0, within=3 * LEASE_SECONDS) if stays else None
    assert (http2.texts[number], left or await settled(read, 0, within=3 * LEASE_SECONDS)) == ("", 0)
    assert (await server.plain(ROUTES["chat"], one)).status == 200
