"""How long after `kill -9` the slots of a worker are free."""

from __future__ import annotations

import asyncio
import signal
import time
from typing import TYPE_CHECKING

from benchmarks import slots
from benchmarks.figures import Figure, one
from benchmarks.streams import held
from tests.harness.keys import fresh_key

if TYPE_CHECKING:
    from benchmarks.stage import Plan, Stage
    from tests.harness.keys import Key
    from tests.harness.versions import Version

NAME = "killed"
_STREAMS = 16
_POLL_SECONDS = 0.01


def measure(stage: Stage, version: Version, plan: Plan) -> list[Figure]:
    """Return the time until the last of the slots is free; LiteLLM alone keeps them for its window, or for an hour."""
    lease = plan.pick(10.0, 2.0)
    keys = [fresh_key(4) for _ in range(_STREAMS)]
    setup = stage.setup(version, guarded=True)
    lasting = ("CANCEL_GUARD_LEASE_SECONDS", str(lease))
    with (
        stage.proxy(setup, env=(lasting,)) as proxy,
        held(proxy.url, [key.secret for key in keys], gap_seconds=0.5),
    ):
        # Past the first heartbeat: from now on each slot has been renewed.
        time.sleep(lease / 2)
        proxy.send(signal.SIGKILL)
        took = asyncio.run(_freed_after(stage, _layout(version), keys, lease))
    name = f"slots back after kill -9, the last of {_STREAMS}, lease {lease:g} s"
    return [one(NAME, name, "s", took, version=str(version), samples=_STREAMS)]


def _layout(version: Version) -> str:
    return "slots" if version.at_least(1, 94) else "counted"


async def _freed_after(stage: Stage, layout: str, keys: list[Key], lease: float) -> float:
    """Return the seconds until none of the keys has a slot that lives; one that has lapsed is dropped when counted."""
    began, names = time.monotonic(), {f"api_key:{key.name}" for key in keys}
    async with slots.client(stage) as connected:
        gauge = slots.gauge(connected, layout)
        while names and time.monotonic() < began + 3 * lease:
            names = {name for name in names if await gauge.count(name)}
            await asyncio.sleep(_POLL_SECONDS)
    return time.monotonic() - began
