"""What a real proxy's /metrics says."""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from litellm_cancel_guard.lease.graft import State
from tests.harness.keys import fresh_key
from tests.harness.routes import ROUTES
from tests.harness.witness import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import httpx

    from tests.harness.clients import Caller
    from tests.harness.keys import Key
    from tests.harness.proxy import Proxy

prometheus_client = pytest.importorskip("prometheus_client")

SAMPLE = re.compile(r"^(litellm_cancel_guard_\w+)(\{[^}]*\})? ([\d.e+-]+)$", re.MULTILINE)


async def scraped(http: httpx.AsyncClient, proxy: Proxy) -> dict[str, float]:
    answer = await http.get(f"{proxy.url}/metrics", follow_redirects=True)
    assert answer.status_code == 200, answer.text
    return {f"{name}{labels}": float(number) for name, labels, number in SAMPLE.findall(answer.text)}


def grafts(seen: dict[str, float], *states: State) -> list[str]:
    """The grafts that a worker says to be in one of these states."""
    wanted = "|".join(re.escape(state.value) for state in states)
    labels = re.compile(rf'^litellm_cancel_guard_in_force{{graft="([^"]+)",state="(?:{wanted})"}}$')
    return [graft[1] for name, workers in seen.items() if workers and (graft := labels.match(name))]


@pytest.mark.timeout(240)
async def test_a_proxys_metrics_tell_what_was_held_refused_and_given_back(
    metered: Callable[..., Proxy], call_on: Callable[[Proxy], Caller], key: Key, http: httpx.AsyncClient
) -> None:
    proxy = metered()
    caller = call_on(proxy)
    await caller.plain(ROUTES["chat"], key)
    await caller.hang_up_mid(ROUTES["chat"], key)
    await caller.streamed(ROUTES["chat"], key, replace(caller.script(), error_step=3, error_status=429))
    await caller.admitted_at_once(key, cap=4)
    lined = fresh_key(cap=1, wait=60)
    async with caller.holding(lined, 1):
        asking = asyncio.create_task(caller.plain(ROUTES["chat"], lined))

        async def waits() -> bool:
            return (await scraped(http, proxy)).get("litellm_cancel_guard_waiting") == 1

        await wait_until(waits, "one waits in line")
    assert (await asking).status == 200

    async def at_rest() -> bool:
        return (await scraped(http, proxy)).get("litellm_cancel_guard_slots_held") == 0

    await wait_until(at_rest, "no slot is held")
    seen = await scraped(http, proxy)
    prefix = "litellm_cancel_guard_"
    assert seen[f"{prefix}leases_acquired_total"] == 9
    assert seen[f"{prefix}requests_refused_total"] == 2
    assert seen[f'{prefix}leases_released_total{{ending="client_left"}}'] >= 1
    assert seen[f"{prefix}release_seconds_count"] == 9
    assert [seen[f"{prefix}{name}"] for name in ("waiting", "waited_seconds_count")] == [0, 1]
    assert seen[f'{prefix}line_total{{outcome="served"}}'] == 1
    assert seen[f'{prefix}terminal_errors_total{{route="chat",status="429"}}'] == 1
    assert [seen[prefix + name] for name in ("degraded", "faults_total", "leases_reclaimed_total")] == [0, 0, 0]
    assert grafts(seen, State.STANDS_ASIDE, State.TAKEN_OUT) == [], "an operator is alarmed where nothing is lost"
    assert grafts(seen, State.IN_FORCE) != [], "nothing is said of any graft"
    lines = [line for line in proxy.text().splitlines() if "gave back the slot" in line]
    assert len(lines) >= 1
    assert f"key {key.name[:8]}, route acompletion" in lines[0]


@pytest.mark.timeout(240)
async def test_two_workers_are_summed_and_a_key_is_a_label_only_where_asked_for(
    metered: Callable[..., Proxy],
    call_on: Callable[[Proxy], Caller],
    key: Key,
    http: httpx.AsyncClient,
    tmp_path: Path,
) -> None:
    (tmp_path / "prometheus").mkdir()
    env = (("PROMETHEUS_MULTIPROC_DIR", str(tmp_path / "prometheus")), ("CANCEL_GUARD_METRICS_PER_KEY", "true"))
    proxy = metered(workers=2, arguments=("--run_gunicorn",), env=env)
    await call_on(proxy).admitted_at_once(key, cap=4)

    async def told() -> bool:
        seen = await scraped(http, proxy)
        labels = f'{{hashed_api_key="{key.name}"}}'
        names = ("slots_held", "slots_limit", "leases_acquired_total", "requests_refused_total")
        return [seen.get(f"litellm_cancel_guard_{name}{labels}") for name in names] == [0, 4, 4, 2]

    await wait_until(told, "both workers' numbers are shown")
