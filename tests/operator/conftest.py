from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import pytest

from tests.harness import venvs
from tests.harness.proxy import Proxy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.harness.config import Setup
    from tests.harness.proxy import Proxies


@pytest.fixture
def start(proxies: Proxies, setup: Setup) -> Iterator[Callable[..., Proxy]]:
    """Start a proxy that differs from the usual one in the fields given, for this test alone."""
    with proxies.alone(setup, Proxy.stop) as start:
        yield start


@pytest.fixture
def metered(proxies: Proxies, setup: Setup) -> Iterator[Callable[..., Proxy]]:
    """Start a proxy that has prometheus_client and shows its registry at /metrics."""
    usual = dataclasses.replace(
        setup,
        callbacks=("prometheus",),
        libraries=str(venvs.library("prometheus-client")),
        settings="litellm_settings: {require_auth_for_metrics_endpoint: false}",
        env=(("LITELLM_LOG", "INFO"),),
    )
    with proxies.alone(usual, Proxy.stop) as start:
        yield start
