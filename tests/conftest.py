"""Options and fixtures of the proxy tests; the harness behind them is tests/harness."""

from __future__ import annotations

import gc
import os
import re
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest
import pytest_asyncio
from hypothesis import HealthCheck, settings

from tests.gauge.stores import start_cluster_node
from tests.harness import venvs, versions
from tests.harness.clients import TIMEOUT, Caller
from tests.harness.config import Setup
from tests.harness.forking import Seedling
from tests.harness.keys import fresh_key
from tests.harness.process import Process
from tests.harness.provider.handle import Control, Provider
from tests.harness.proxy import Proxies
from tests.harness.redis_server import RedisServer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Generator, Iterator
    from concurrent.futures import Future

    from tests.harness.keys import Key
    from tests.harness.proxy import Proxy
    from tests.harness.versions import Version

VENVS: pytest.StashKey[dict[Version, Future[Path]]] = pytest.StashKey()
# What starts proxies for one test alone, several workers, or a server of another kind.
OF_THEIR_OWN = {"start", "metered", "server", "two_workers", "cluster"}
# As host/grafting.py says it, of a graft or of a group.
_ASIDE = re.compile(r"cancel_guard: (\S+ (?:stands aside|taken out): .*|a fault in .*)")
# A machine that does something else for a fifth of a second is no counter-example.
settings.register_profile("of a busy machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("of a busy machine")
LOG_STARTS: pytest.StashKey[dict[Process, int]] = pytest.StashKey()


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("litellm")
    group.addoption("--litellm", default="installed", help="LiteLLM: installed, all, latest, or 1.83.14,1.109.1")
    group.addoption(
        "--terminal-table", default="", help="write what clients see of failures, without and with the guard"
    )
    group.addoption("--unforked", action="store_true", help="start each proxy by its own command, from nothing")
    group.addoption("--bare", action="store_true", help="without the guard: shows what LiteLLM alone leaves behind")
    group.addoption("--matrix-json", metavar="FILE", help="write what each cell of the matrix left behind")
    group.addoption(
        "--difference-json", metavar="FILE", help="write every difference to bare LiteLLM, and what allows it"
    )
    group.addoption(
        "--difference-again", action="store_true", help="ask once more what differs: only what differs again counts"
    )
    group.addoption("--aside", metavar="FILE", help="write what the guard's proxies said that is not in force")
    group.addoption("--mutants", type=int, help="so many mutants, drawn by the commit; else all")
    group.addoption("--matrix-differing", action="store_true", help="only cells in which a version differs")
    group.addoption("--matrix-short", action="store_true", help="each route with its commonest endings")
    group.addoption("--matrix-workers", type=int, default=1, help="proxies on one Redis, asked in turn")


def pytest_configure() -> None:
    """A shell that runs the tests in the background has them ignore Ctrl-C, and all that they start inherits that."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_runtestloop() -> None:
    """LiteLLM and the tests stay to the end; a test that has the collector look for what is lost would pay for them."""
    gc.collect()
    gc.freeze()


def pytest_sessionfinish() -> None:
    """What forks proxies and was not ended with them would be collected, and taken for a fault, when all is over."""
    for seedling in list(Seedling.living):
        seedling.end()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "litellm_version" in metafunc.fixturenames:
        try:
            asked = versions.chosen(metafunc.config.getoption("litellm"))
        except LookupError as missing:
            raise pytest.UsageError(str(missing)) from None
        metafunc.parametrize("litellm_version", asked, ids=str, scope="session")


def pytest_itemcollected(item: pytest.Item) -> None:
    fixtures = set(getattr(item, "fixturenames", ()))
    if "litellm_version" in fixtures:
        item.add_marker("litellm")
        if fixtures & OF_THEIR_OWN:
            item.add_marker("thorough")


def pytest_collection_finish(session: pytest.Session) -> None:
    """Environments are built before the first test: a cold cache must not use up a test's time limit."""
    specs = [spec for item in session.items if (spec := getattr(item, "callspec", None))]
    asked = {spec.params["litellm_version"] for spec in specs if "litellm_version" in spec.params}
    if asked and not session.config.getoption("collectonly"):
        session.config.stash[VENVS] = venvs.build_all(asked)


def pytest_runtest_setup(item: pytest.Item) -> None:
    item.stash[LOG_STARTS] = {process: process.log.stat().st_size for process in Process.running}


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A failed test shows what its proxies wrote while it ran."""
    report = yield
    if report.failed:
        for process in Process.running:
            written = process.text(item.stash[LOG_STARTS].get(process, 0))
            report.sections.append((f"{process.name}, {process.log}", written[-8000:]))
    return report


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    yield server
    server.close()


@pytest.fixture
def one_shard(tmp_path: Path) -> Iterator[int]:
    """The port of a Redis Cluster of one node."""
    process, port = start_cluster_node(tmp_path, os.environ)
    yield port
    process.stop()


@pytest.fixture(scope="session")
def provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Provider]:
    provider = Provider(tmp_path_factory.mktemp("provider"))
    yield provider
    provider.stop()


@pytest.fixture(scope="session")
def proxies(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxies]:
    def python_of(version: Version) -> Path:
        built = pytestconfig.stash.get(VENVS, {}).get(version)
        return built.result() if built else venvs.python_of(version)

    proxies = Proxies(python_of, tmp_path_factory.mktemp, forks=not pytestconfig.getoption("unforked"))
    yield proxies
    proxies.stop()
    if path := pytestconfig.getoption("--aside"):
        said = {line for log in proxies.logs for line in _ASIDE.findall(log.read_text(errors="replace"))}
        Path(path).write_text("\n".join(sorted(said)))


@pytest.fixture
def setup(
    litellm_version: Version, redis_server: RedisServer, provider: Provider, pytestconfig: pytest.Config
) -> Setup:
    """The usual proxy: one worker, Redis, guarded unless the run is --bare."""
    guarded = not pytestconfig.getoption("bare")
    return Setup(
        litellm_version, guarded=guarded, provider=provider.url, redis_port=redis_server.port, secure=provider.secure
    )


@pytest.fixture
def proxy(proxies: Proxies, setup: Setup) -> Proxy:
    return proxies.shared(setup)


@pytest.fixture
def key() -> Key:
    return fresh_key(cap=4)


@pytest_asyncio.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    # uvicorn closes an idle connection after 5 s, as httpx does: expired sooner, none is used as it is being closed.
    limits = httpx.Limits(max_connections=None, keepalive_expiry=2)
    async with httpx.AsyncClient(timeout=TIMEOUT, limits=limits, trust_env=False, verify=False) as client:
        yield client


@pytest_asyncio.fixture
async def call_on(provider: Provider, http: httpx.AsyncClient) -> AsyncIterator[Callable[[Proxy], Caller]]:
    """Callers of any proxy; whatever the provider still holds for them is let go after the test."""
    callers: list[Caller] = []

    def caller_on(proxy: Proxy) -> Caller:
        callers.append(Caller(proxy, Control(provider, http), http))
        return callers[-1]

    yield caller_on
    for caller in callers:
        await caller.let_go()


@pytest.fixture
def caller(call_on: Callable[[Proxy], Caller], proxy: Proxy) -> Caller:
    return call_on(proxy)
