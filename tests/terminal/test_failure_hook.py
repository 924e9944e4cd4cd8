"""What LiteLLM is told of a failed stream, and in which order."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

import pytest

from litellm_cancel_guard.host.failure_hook import report


class ProxyLogging:
    """As LiteLLM 1.109's, which keeps a stream's spend back until its guardrails have run."""

    def __init__(self, *, discards: bool = False, fails: bool = False) -> None:
        self.told: list[str] = []
        self._discards, self._fails = discards, fails

    def _discard_deferred_stream_logging_for_failure(self, request_data: Any, error: Exception) -> bool:
        return self._discards

    def _fire_deferred_stream_logging(self, request_data: Any) -> None:
        if self._fails:
            raise TypeError("another number of arguments")
        self.told.append("spend")

    async def post_call_failure_hook(self, **_: Any) -> None:
        self.told.append("failure")


@pytest.mark.parametrize(
    ("how", "told"),
    [({}, ["spend", "failure"]), ({"discards": True}, ["failure"]), ({"fails": True}, ["failure"])],
    ids=str,
)
async def test_the_spend_of_a_stream_is_logged_before_its_failure_takes_the_log_away(
    monkeypatch: pytest.MonkeyPatch, how: dict[str, bool], told: list[str]
) -> None:
    logging = ProxyLogging(**how)
    monkeypatch.setitem(sys.modules, "litellm.proxy.proxy_server", SimpleNamespace(proxy_logging_obj=logging))

    await report(RuntimeError("cut"), None, {}, claimed=False)
    assert logging.told == told
