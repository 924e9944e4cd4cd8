"""Every web server that LiteLLM's command line offers: the request's task ends when the request does."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pytest

from tests.exits.endings import ENDINGS
from tests.harness import venvs
from tests.harness.clients import Admission
from tests.harness.keys import fresh_key
from tests.harness.routes import ROUTES
from tests.harness.witness import gauge, settled

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.harness.clients import Caller
    from tests.harness.redis_server import RedisServer
    from tests.harness.versions import Version

SERVERS = {"gunicorn": (1, 80), "hypercorn": (1, 80), "granian": (1, 87)}
ENDINGS_TRIED = ("complete", "plain", "cancel_mid", "cancel_before_first", "nonstream_cancel", "http500", "midreset")


@pytest.fixture(params=SERVERS)
def server(request: pytest.FixtureRequest, shared: Callable[..., Caller], litellm_version: Version) -> Caller:
    name: str = request.param
    if not litellm_version.at_least(*SERVERS[name]):
        pytest.skip(f"LiteLLM {litellm_version} has no --run_{name}")
    venvs.add_program(litellm_version, name)
    return shared(arguments=(f"--run_{name}",), forks=False)


@pytest.mark.parametrize("name", ["chat", "messages", "responses", "pass_anthropic", "pass_custom"])
async def test_slots_come_back_under_every_server(server: Caller, redis_server: RedisServer, name: str) -> None:
    for ending in ENDINGS_TRIED:
        key = fresh_key(cap=4)
        for _ in range(3):
            await ENDINGS[ending](server, ROUTES[name], key)
        left = await settled(partial(gauge, redis_server.client, key), 0)
        admission = await server.admitted_at_once(key, cap=4)
        assert (ending, left, admission) == (ending, 0, Admission(4, 2))
