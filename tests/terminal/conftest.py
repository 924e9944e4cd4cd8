"""Proxies whose providers fail in mid-stream."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.harness.provider.handle import Control
from tests.harness.proxy import Proxy
from tests.terminal import vertex
from tests.terminal.cells import settings
from tests.terminal.table import TABLE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import httpx

    from tests.harness.config import Setup
    from tests.harness.provider.handle import Provider
    from tests.harness.proxy import Proxies


def pytest_sessionfinish(session: pytest.Session) -> None:
    path = session.config.getoption("--terminal-table")
    if path:
        TABLE.write(Path(path))


@pytest.fixture(scope="session")
def failing_settings(provider: Provider, tmp_path_factory: pytest.TempPathFactory) -> str:
    return settings(provider.url, str(vertex.service_account(provider.url, tmp_path_factory.mktemp("vertex"))))


@pytest.fixture(scope="session")
def libraries() -> str:
    return str(vertex.libraries())


@pytest.fixture
def failing(setup: Setup, failing_settings: str, libraries: str) -> Setup:
    """The setup of a proxy with every provider, a fallback for each, and a logger of the operator's own."""
    recording = dataclasses.replace(setup, callbacks=("recording.recorder",), beside=("recording.py",))
    return dataclasses.replace(recording, settings=failing_settings, libraries=libraries)


@pytest.fixture
def control(provider: Provider, http: httpx.AsyncClient) -> Control:
    return Control(provider, http)


@pytest.fixture
def failing_proxy(proxies: Proxies, failing: Setup) -> Proxy:
    return proxies.shared(failing)


@pytest.fixture
def start(proxies: Proxies, failing: Setup) -> Iterator[Callable[..., Proxy]]:
    """Start such a proxy for this test alone; the fields given differ."""
    with proxies.alone(failing, Proxy.stop) as start:
        yield start
