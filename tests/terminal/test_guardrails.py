"""A guardrail that looks at answers stands between the proxy and the guard, and would read the guard's last event."""

from __future__ import annotations

import dataclasses
import secrets
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tests.harness.keys import fresh_key
from tests.harness.provider.script import Script
from tests.terminal.sdks import ask

if TYPE_CHECKING:
    from tests.harness.config import Setup
    from tests.harness.proxy import Proxies

RULES = [{"id": "a", "tool_name": "X", "decision": "deny"}]
GUARDRAILS: dict[str, dict[str, Any]] = {
    "of one's own": {"guardrail": "guardrail.Tolerant"},
    "tool_permission": {"guardrail": "tool_permission", "default_action": "deny", "rules": RULES},
}
MID, FIRST = 3, 0
ENDS = {
    # Step, guardrail -> how the openai SDK names the 429. Of LiteLLM alone `tool_permission` reads the whole answer.
    (FIRST, "of one's own"): "RateLimitError",
    (MID, "of one's own"): "APIError",
    (FIRST, "tool_permission"): "RateLimitError",
    (MID, "tool_permission"): "RateLimitError",
}


@pytest.mark.parametrize(("step", "name"), ENDS)
async def test_a_429_stays_one(proxies: Proxies, failing: Setup, step: int, name: str) -> None:
    """Guarded, it was a 400, which no SDK asks again, or a 500."""
    guardrail = {
        "guardrail_name": "looks",
        "litellm_params": {**GUARDRAILS[name], "mode": "post_call", "default_on": True},
    }
    settings = yaml.safe_dump({**yaml.safe_load(failing.settings), "guardrails": [guardrail]})
    proxy = proxies.shared(dataclasses.replace(failing, settings=settings, beside=("recording.py", "guardrail.py")))
    script = Script(secrets.token_hex(6), chunks=6, only="first-gpt", error_step=step)

    outcome = await ask("chat", proxy.url, fresh_key(cap=2).secret, "openai", str(script))
    assert (outcome.raised, str(outcome.code)[-3:]) == (ENDS[step, name], "429"), outcome.message
