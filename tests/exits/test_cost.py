"""What a request costs Redis: no more than it costs LiteLLM alone."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.harness.keys import fresh_key
from tests.harness.routes import ROUTES
from tests.harness.witness import settled

if TYPE_CHECKING:
    from tests.harness.clients import Caller
    from tests.harness.redis_server import RedisServer

pytestmark = pytest.mark.more

AT_ONCE = 20


@pytest.mark.parametrize("rpm", [None, 10_000], ids=["cap alone", "with rpm_limit"])
async def test_tokens_are_counted_to_the_last_one_and_cost_no_command_each(
    caller: Caller, redis_server: RedisServer, rpm: int | None
) -> None:
    """Where one command of LiteLLM's counts the slot and the tokens, the guard must not make two of it.

    Nor where one counts the slot and the request of the minute, up to 1.93; from 1.94 on those are two of LiteLLM's.
    """
    key, store = fresh_key(cap=AT_ONCE, rpm=rpm), redis_server.client
    # Redis has the scripts from now on.
    assert (await caller.plain(ROUTES["chat"], fresh_key(cap=1, rpm=rpm))).status == 200
    before = _scripts(store)
    answers = await asyncio.gather(*(caller.plain(ROUTES["chat"], key) for _ in range(AT_ONCE)))
    tokens = sum(json.loads(answer.text)["usage"]["total_tokens"] for answer in answers)

    assert await settled(lambda: int(store.get(f"{{api_key:{key.name}}}:tokens") or 0), tokens) == tokens
    apart = rpm is not None and caller.proxy.setup.version.at_least(1, 94)
    assert _scripts(store) - before <= (3.5 if apart else 2.5) * AT_ONCE


def _scripts(store: Any) -> int:
    return int(store.info("commandstats").get("cmdstat_evalsha", {"calls": 0})["calls"])
