from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import pytest

from tests.harness import venvs

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.harness.config import Setup
    from tests.harness.proxy import Proxies, Proxy


@pytest.fixture
def metered(proxies: Proxies, setup: Setup, tmp_path: Path) -> Callable[..., Proxy]:
    """Start a proxy that has prometheus_client and shows its registry at /metrics."""

    def start(**changes: object) -> Proxy:
        usual = dataclasses.replace(
            setup,
            callbacks=("prometheus",),
            libraries=str(venvs.library("prometheus-client")),
            settings="litellm_settings: {require_auth_for_metrics_endpoint: false}",
            env=(("LITELLM_LOG", "INFO"),),
        )
        return proxies.start(dataclasses.replace(usual, **changes))  # type: ignore[arg-type]

    return start
