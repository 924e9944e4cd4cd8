"""The callback is added to a running proxy, as docs/operations.md says for each kind of server: no stream is cut."""

from __future__ import annotations

import signal
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import yaml

from tests.harness.keys import fresh_key
from tests.harness.routes import ROUTES
from tests.harness.witness import attached, gauge, settled, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.harness.clients import Caller
    from tests.harness.proxy import Proxy
    from tests.harness.redis_server import RedisServer
    from tests.harness.versions import Version

CHAT = ROUTES["chat"]
# LiteLLM takes longer to start than uvicorn (0.54) waits for a new worker before it decides to keep the old ones.
PATIENCE = ("--timeout_worker_healthcheck", "90")


@pytest.mark.timeout(300)
@pytest.mark.parametrize("server", ["gunicorn", "uvicorn"])
async def test_a_hup_to_the_supervisor_of_the_workers_brings_the_guard_into_each(
    litellm_version: Version,
    start: Callable[..., Proxy],
    call_on: Callable[[Proxy], Caller],
    redis_server: RedisServer,
    server: str,
) -> None:
    if server == "uvicorn" and not litellm_version.at_least(1, 90):
        pytest.skip("uvicorn's patience with workers can't be set: how it ends depends on the machine")
    arguments = ("--run_gunicorn",) if server == "gunicorn" else PATIENCE
    without = "litellm_settings: {callbacks: []}"
    proxy = start(workers=2, arguments=arguments, settings=without, env=(("LITELLM_LOG", "INFO"),))
    caller, before = call_on(proxy), set(proxy.workers)
    path = proxy.log.parent / "config.yaml"
    config = yaml.safe_load(path.read_text())
    script = replace(caller.script(), stall="2")
    async with caller.opened(CHAT, fresh_key(cap=4), script) as in_flight:
        await in_flight.read_chunks(2)
        config["litellm_settings"]["callbacks"] = ["litellm_cancel_guard.handler"]
        path.write_text(yaml.safe_dump(config))
        proxy.send(signal.SIGHUP)
        await wait_until(lambda: bool(set(proxy.workers) - before), "a new worker is there", within=60)
        await caller.provider.release(script.run)
        await in_flight.read_rest()
        assert "[DONE]" in in_flight.text, "the stream of a worker that is replaced is served to its end"

    await attached(proxy, 2)
    await wait_until(lambda: not before & set(proxy.workers), "the old workers have ended", within=60)
    key = fresh_key(cap=4)
    for _ in range(3):
        await caller.hang_up_mid(CHAT, key)
    assert await settled(lambda: gauge(redis_server.client, key), 0, within=10) == 0
    assert await caller.admitted_at_once(key, cap=4) == (4, 2)
