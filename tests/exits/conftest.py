from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import pytest

from tests.harness.proxy import Proxy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.harness.clients import Caller
    from tests.harness.config import Setup
    from tests.harness.proxy import Proxies


@pytest.fixture
def start(proxies: Proxies, setup: Setup, call_on: Callable[[Proxy], Caller]) -> Iterator[Callable[..., Caller]]:
    """A caller of a proxy that differs from the usual one in the fields given, for this test alone."""
    with proxies.alone(setup, Proxy.stop) as start:
        yield lambda **changes: call_on(start(**changes))


@pytest.fixture
def shared(proxies: Proxies, setup: Setup, call_on: Callable[[Proxy], Caller]) -> Callable[..., Caller]:
    """A caller of a proxy that differs from the usual one in the fields given, and has a history."""
    return lambda **changes: call_on(proxies.shared(dataclasses.replace(setup, **changes)))
