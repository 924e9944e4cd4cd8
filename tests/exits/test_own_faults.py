"""A request in which the guard itself fails is counted by LiteLLM alone, and uncounted by it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tests.harness.keys import fresh_key
from tests.harness.routes import ROUTES
from tests.harness.witness import gauge, settled

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.harness.clients import Caller
    from tests.harness.redis_server import RedisServer

CAPS = {"opening": 7, "admitting": 8}


@pytest.mark.parametrize("rpm", [None, 100], ids=["cap alone", "with rpm_limit"])
@pytest.mark.parametrize("status", [200, 500])
@pytest.mark.parametrize("fault", CAPS)
async def test_a_request_that_the_guard_leaves_to_litellm_is_not_left_counted(
    shared: Callable[..., Caller], redis_server: RedisServer, fault: str, status: int, rpm: int | None
) -> None:
    caller = shared(callbacks=("faulting.callback",), beside=("faulting.py",))
    key, script = fresh_key(cap=CAPS[fault], rpm=rpm), replace(caller.script(), status=0 if status == 200 else status)
    answers = [await caller.plain(ROUTES["chat"], key, script) for _ in range(3)]

    assert [answer.status for answer in answers] == [status] * 3
    assert caller.proxy.text().count(f"a fault in the {fault}") >= 3
    assert await settled(lambda: gauge(redis_server.client, key), 0, within=10) == 0
