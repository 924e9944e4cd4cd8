"""The first request of a worker: the guard is attached while it is under way."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.exits.endings import ENDINGS
from tests.harness.routes import ROUTES
from tests.harness.witness import gauge, settled

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.harness.clients import Caller
    from tests.harness.keys import Key
    from tests.harness.redis_server import RedisServer


@pytest.mark.parametrize("ending", ["complete", "midreset"])
async def test_a_workers_first_request_is_counted_like_any_other(
    start: Callable[..., Caller], key: Key, redis_server: RedisServer, ending: str
) -> None:
    caller = start(warm=False)
    await ENDINGS[ending](caller, ROUTES["chat"], key)
    assert await settled(lambda: gauge(redis_server.client, key), -1, within=1) == 0, "LiteLLM's own count down landed"
    assert await caller.admitted_at_once(key, cap=4) == (4, 2)
