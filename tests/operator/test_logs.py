"""The guard's lines in a real proxy's log, as LiteLLM writes its own there."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tests.harness.routes import ROUTES
from tests.harness.witness import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.harness.clients import Caller
    from tests.harness.keys import Key
    from tests.harness.proxy import Proxy


def lines_of_the_guard(proxy: Proxy) -> list[str]:
    return [line for line in proxy.text().splitlines() if "cancel_guard" in line and "gave back" in line]


async def test_as_json_where_litellm_logs_json_ten_a_minute_and_without_key_or_prompt(
    start: Callable[..., Proxy], call_on: Callable[[Proxy], Caller], key: Key
) -> None:
    proxy = start(settings="litellm_settings: {json_logs: true}", env=(("LITELLM_LOG", "INFO"),))
    caller = call_on(proxy)
    runs = [await caller.hang_up_mid(ROUTES["chat"], key) for _ in range(12)]
    await wait_until(lambda: len(lines_of_the_guard(proxy)) >= 10, "ten are logged", within=10)
    await caller.streamed(ROUTES["chat"], key, replace(caller.script(), error_step=3))
    await wait_until(lambda: "a stream failed" in proxy.text(), "another kind of line is still logged")

    lines = lines_of_the_guard(proxy)
    assert len(lines) == 10
    said: list[dict[str, Any]] = [json.loads(line) for line in lines]
    assert {one["level"] for one in said} == {"INFO"}
    assert all(f"key {key.name[:8]}, route acompletion, client_left after" in one["message"] for one in said)
    ours = [line for line in proxy.text().splitlines() if "cancel_guard: " in line]
    assert len(ours) > 10
    for line in ours:
        assert json.loads(line)["message"].startswith("cancel_guard: ")
        assert key.secret not in line
        assert key.name not in line
        assert not any(run in line for run in runs), "a prompt is quoted"
