"""`LITELLM_RUST` on: LiteLLM redacts by its Rust extension then, and could serve `/v1/messages` to Anthropic by it.

A proxy's requests it serves in Python all the same: each brings the proxy's own session along (1.110,
rust_bridge/detectors.py `caller_client`, proxy/route_llm_request.py `add_shared_session_to_data`).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tests.exits.endings import ENDINGS
from tests.harness.clients import Admission
from tests.harness.provider.sentences import GROUPS
from tests.harness.routes import ROUTES
from tests.harness.witness import gauge, lasting, settled

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.harness.clients import Caller
    from tests.harness.config import Setup
    from tests.harness.keys import Key
    from tests.harness.redis_server import RedisServer

CAP = 4
NAMES = ("complete", "plain", "cancel_mid", "cancel_before_first", "mid429", "midreset", "http429", "http500_plain")


@pytest.fixture
def caller(shared: Callable[..., Caller], setup: Setup) -> Caller:
    """A caller of a proxy that serves by Rust what it can."""
    if not setup.version.at_least(1, 110):
        pytest.skip("what goes by Rust changes with each LiteLLM before")
    return shared(env=(("LITELLM_RUST", "true"),))


@pytest.mark.parametrize("name", ["messages_claude", "messages", "chat", "responses"])
async def test_slots_come_back(caller: Caller, key: Key, redis_server: RedisServer, name: str) -> None:
    for ending in NAMES:
        await ENDINGS[ending](caller, ROUTES[name], key)
        assert (ending, await settled(lambda: gauge(redis_server.client, key), 0)) == (ending, 0)
    assert await caller.admitted_at_once(key, cap=CAP, route=ROUTES[name]) == Admission(CAP, 2)
    assert await settled(lambda: gauge(redis_server.client, key), 0) == 0
    assert lasting(redis_server.client, key) == []


@pytest.mark.parametrize("step", [0, 2], ids=["first", "mid"])
async def test_no_client_reads_a_secret_in_a_providers_words(caller: Caller, key: Key, step: int) -> None:
    shown = []
    for number, group in enumerate(GROUPS):
        for name in ("chat", "messages_claude"):
            answer = await caller.streamed(
                ROUTES[name], key, replace(caller.script(), error_step=step, error_status=500, says=number)
            )
            assert "scripted" not in answer.text
            shown += [one.says for one in group if any(secret in answer.text for secret in one.hides)]
    assert shown == []
