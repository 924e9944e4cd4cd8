"""Never refused below the cap: a client that sends one request after another has nothing else in flight."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tests.harness.keys import fresh_key
from tests.harness.routes import ROUTES

if TYPE_CHECKING:
    from tests.harness.clients import Caller
    from tests.harness.routes import Route

IN_A_ROW = 200


@pytest.mark.parametrize("how", ["streamed", "plain"])
@pytest.mark.parametrize("route", ROUTES.values(), ids=ROUTES.keys())
async def test_one_after_another_is_never_refused_at_a_cap_of_one(caller: Caller, route: Route, how: str) -> None:
    if how == "streamed" and not route.streams:
        pytest.skip(f"{route.name} has no streams")
    one = fresh_key(cap=1)
    statuses = []
    for _ in range(IN_A_ROW):
        script = replace(caller.script(), chunks=2)
        send = caller.streamed if how == "streamed" else caller.plain
        statuses.append((await send(route, one, script)).status)

    assert statuses.count(429) == 0
    assert statuses == [200] * IN_A_ROW
