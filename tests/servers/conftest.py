from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio
import yaml

from tests.harness import config
from tests.harness.clients import Caller
from tests.harness.config import Setup
from tests.harness.provider.handle import Control
from tests.servers.fronts import PROGRAMS, Front, Program

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    import httpx

    from tests.harness.provider.handle import Provider
    from tests.harness.proxy import Proxies, Proxy
    from tests.harness.redis_server import RedisServer
    from tests.harness.versions import Version

    FrontOf = Callable[[Program], Front]

PING_SECONDS = 2


class Behind(Caller):
    """A user of the proxy behind a program: as deploy/front configures it, or as it comes."""

    def __init__(self, front: Front, proxy: Proxy, provider: Control, http: httpx.AsyncClient, *, plain: bool) -> None:
        super().__init__(proxy, provider, http)
        self.program = front.program
        self._base = front.plain_url if plain else front.url

    def url(self) -> str:
        return self._base


def _models(provider: str) -> str:
    """The usual models, and `pinged`: as `gpt`, but with LiteLLM's pings."""
    models: list[Any] = config._models(provider, provider)
    gpt = models[0]["litellm_params"]
    pinged = {"model_name": "pinged", "litellm_params": {**gpt, "keepalive_seconds": PING_SECONDS}}
    return yaml.safe_dump({"model_list": [*models, pinged]})


@pytest.fixture(scope="module")
def one_proxy(
    proxies: Proxies, litellm_version: Version, redis_server: RedisServer, provider: Provider
) -> Iterator[Proxy]:
    """The proxy that all programs stand in front of."""
    proxy = proxies.start(
        Setup(
            litellm_version,
            guarded=True,
            provider=provider.url,
            redis_port=redis_server.port,
            settings=_models(provider.url),
            env=(("GRACEFUL_SHUTDOWN_TIMEOUT", "4"), ("CANCEL_GUARD_DRAIN_SECONDS", "1")),
        )
    )
    yield proxy
    proxy.stop()


@pytest.fixture(scope="module")
def front_of(one_proxy: Proxy, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FrontOf]:
    """Each program, started when it is first asked for."""
    running: dict[Program, Front] = {}

    def front(program: Program) -> Front:
        if program not in running:
            address = one_proxy.url.removeprefix("http://")
            running[program] = Front(program, tmp_path_factory.mktemp(program.name), address)
        return running[program]

    yield front
    for each in running.values():
        each.stop()


@pytest_asyncio.fixture
async def stand(
    front_of: FrontOf, one_proxy: Proxy, provider: Provider, http: httpx.AsyncClient
) -> AsyncIterator[Callable[..., Behind]]:
    """Callers behind a program; whatever the provider still holds for them is let go after the test."""
    callers: list[Behind] = []

    def behind(program: Program, *, plain: bool = False, by: httpx.AsyncClient = http) -> Behind:
        callers.append(Behind(front_of(program), one_proxy, Control(provider, http), by, plain=plain))
        return callers[-1]

    yield behind
    for caller in callers:
        await caller.let_go()


@pytest.fixture(params=PROGRAMS, ids=str)
def program(request: pytest.FixtureRequest) -> Program:
    one: Program = request.param
    return one


@pytest.fixture
def behind(stand: Callable[..., Behind], program: Program) -> Behind:
    return stand(program)
