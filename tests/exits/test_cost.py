"""What a request costs Redis: no more than it costs LiteLLM alone."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

from tests.harness.keys import fresh_key
from tests.harness.routes import ROUTES
from tests.harness.witness import settled

if TYPE_CHECKING:
    from tests.harness.clients import Caller
    from tests.harness.redis_server import RedisServer

AT_ONCE = 20


async def test_tokens_are_counted_to_the_last_one_and_cost_no_command_each(
    caller: Caller, redis_server: RedisServer
) -> None:
    """Where one command of LiteLLM's counts the slot and the tokens, the guard must not make two of it."""
    key, store = fresh_key(cap=AT_ONCE), redis_server.client
    assert (await caller.plain(ROUTES["chat"], fresh_key(cap=1))).status == 200  # Redis has the scripts from now on
    before = _scripts(store)
    answers = await asyncio.gather(*(caller.plain(ROUTES["chat"], key) for _ in range(AT_ONCE)))
    tokens = sum(json.loads(answer.text)["usage"]["total_tokens"] for answer in answers)

    assert await settled(lambda: int(store.get(f"{{api_key:{key.name}}}:tokens") or 0), tokens) == tokens
    assert _scripts(store) - before <= 2.5 * AT_ONCE


def _scripts(store: Any) -> int:
    return int(store.info("commandstats").get("cmdstat_evalsha", {"calls": 0})["calls"])
