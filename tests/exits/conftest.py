from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.harness.clients import Caller
    from tests.harness.config import Setup
    from tests.harness.proxy import Proxies, Proxy


@pytest.fixture
def start(proxies: Proxies, setup: Setup, call_on: Callable[[Proxy], Caller]) -> Iterator[Callable[..., Caller]]:
    """A caller of a proxy that differs from the usual one in the fields given, for this test alone."""
    running: list[Proxy] = []

    def start(**changes: object) -> Caller:
        running.append(proxies.start(dataclasses.replace(setup, **changes)))  # type: ignore[arg-type]
        return call_on(running[-1])

    yield start
    for proxy in running:
        proxy.stop()


@pytest.fixture
def shared(proxies: Proxies, setup: Setup, call_on: Callable[[Proxy], Caller]) -> Callable[..., Caller]:
    """A caller of a proxy that differs from the usual one in the fields given, and has a history."""
    return lambda **changes: call_on(proxies.shared(dataclasses.replace(setup, **changes)))
