"""The longest call to a provider is what LiteLLM's timeouts allow."""

from __future__ import annotations

from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from litellm_cancel_guard.host import timeouts

LONGEST = timeouts.PASS_THROUGH_SECONDS


def proxy_with(**attributes: Any) -> dict[str, Any]:
    module: Any = ModuleType("proxy_server")
    module.__dict__.update(attributes)
    return {"litellm.proxy.proxy_server": module}


@pytest.mark.parametrize(
    ("modules", "longest"),
    [
        ({}, LONGEST),
        ({"litellm": SimpleNamespace(request_timeout=6000)}, 6000),
        ({"litellm": SimpleNamespace(request_timeout=30)}, LONGEST),
        (proxy_with(llm_router=SimpleNamespace(timeout=900.0, stream_timeout=None)), 900),
        (proxy_with(llm_router=SimpleNamespace(model_list=[{"litellm_params": {"stream_timeout": 7200}}, None])), 7200),
        (proxy_with(general_settings={"pass_through_request_timeout": 700}), 700),
        (proxy_with(general_settings={"pass_through_endpoints": [{"timeout": 800}, "?"]}), 800),
        (proxy_with(general_settings=None, llm_router="?"), LONGEST),
        ({"litellm": SimpleNamespace(request_timeout=float("inf"))}, LONGEST),
        ({"litellm": SimpleNamespace(request_timeout="x")}, LONGEST),
    ],
)
def test_the_longest_call_is_the_longest_timeout_that_is_configured(
    monkeypatch: pytest.MonkeyPatch, modules: dict[str, Any], longest: float
) -> None:
    monkeypatch.setattr(timeouts, "sys", SimpleNamespace(modules=modules))
    assert timeouts.longest_call() == longest
