"""The door to Redis: what becomes of its errors, and what a call costs."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest
import redis.asyncio as aioredis
from redis.asyncio.cluster import ClusterNode
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from litellm_cancel_guard.gauge import GaugeUnavailableError
from litellm_cancel_guard.gauge.redis import RedisGauge
from litellm_cancel_guard.lease.lease import Admission, Lease
from tests.gauge.steps import STEPS, A
from tests.gauge.stores import GAUGE, LAYOUTS, LIMITER_KEY, Store
from tests.harness.process import LOOPBACK, free_port

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.harness.redis_server import RedisServer


async def _keeps_what_is_interrupted(node: Any, commands: Any) -> None:
    """As `ClusterNode.execute_pipeline` of redis 5 - 8.0."""
    connection = node.acquire_connection()
    await connection.send_packed_command(connection.pack_commands(command.args for command in commands))
    for command in commands:
        command.result = await node.parse_response(connection, command.args[0])
    node._free.append(connection)


@pytest.mark.parametrize("own", [True, False])
async def test_a_node_that_was_frozen_has_all_its_connections_still(
    cluster_port: int, monkeypatch: pytest.MonkeyPatch, *, own: bool
) -> None:
    if not own:
        monkeypatch.setattr(ClusterNode, "execute_pipeline", _keeps_what_is_interrupted)
    as_text: Any = aioredis.Redis(host=LOOPBACK, port=cluster_port, decode_responses=True)
    client = aioredis.RedisCluster(host=LOOPBACK, port=cluster_port, max_connections=2)
    async with as_text as witness, client:
        gauge = Store(client, witness).gauge(timeout_seconds=0.1)
        await gauge.acquire(A, 1)
        assert await gauge.renew([A]) == set()
        await witness.execute_command("CLIENT PAUSE", 800)
        for _ in range(3):
            with pytest.raises(GaugeUnavailableError, match="Timeout"):
                await gauge.renew([A])
        await witness.ping()  # answered when it goes on
        assert await gauge.renew([A]) == set()
        assert await client.exists(LIMITER_KEY)
        await witness.flushall()


async def test_a_user_who_may_run_no_script_at_all_is_unavailable_and_nothing_is_concluded(
    real: Store, gauge_redis: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    await real.witness.execute_command("ACL", "SETUSER", "none", "on", ">secret", "~*", "+@all", "-@scripting")
    async with aioredis.Redis(host=LOOPBACK, port=gauge_redis.port, username="none", password="secret") as client:
        gauge = Store(client, real.witness).gauge()
        with pytest.raises(GaugeUnavailableError, match="NoPermission"):
            await gauge.acquire(A, 1)
        with pytest.raises(GaugeUnavailableError, match=r"NoPermission.*no permissions"):
            await gauge.renew([A])
    await real.witness.execute_command("ACL", "DELUSER", "none")

    assert gauge._runner.known.by_sha
    assert caplog.records == []


async def test_a_server_that_is_not_there_is_unavailable(step: Callable[[RedisGauge], Awaitable[object]]) -> None:
    async with aioredis.Redis(host=LOOPBACK, port=free_port(), retry=Retry(NoBackoff(), 0)) as client:
        with pytest.raises(GaugeUnavailableError, match="ConnectionError") as caught:
            await step(Store(client, None).gauge())

    assert isinstance(caught.value.__cause__, aioredis.ConnectionError)


async def test_a_server_that_does_not_answer_is_unavailable_in_time(
    real: Store, gauge_redis: RedisServer, step: Callable[[RedisGauge], Awaitable[object]]
) -> None:
    gauge = real.gauge(timeout_seconds=0.1)
    await gauge.count(GAUGE)
    gauge_redis.pause()
    try:
        began = time.monotonic()
        with pytest.raises(GaugeUnavailableError, match="Timeout"):
            await step(gauge)
        assert 0.1 <= time.monotonic() - began < 1
    finally:
        gauge_redis.resume()
    await step(real.gauge())


async def test_a_replica_is_unavailable(
    real: Store, layout: str, step: Callable[[RedisGauge], Awaitable[object]]
) -> None:
    """After a failover the old address may answer READONLY."""
    gauge = real.gauge(layout)
    await gauge.acquire(A, 1)
    await real.witness.execute_command("REPLICAOF", LOOPBACK, free_port())
    try:
        if step is STEPS["slots"]:
            assert await step(gauge) == [("a", pytest.approx(30, abs=5))]
        else:
            with pytest.raises(GaugeUnavailableError, match=r"(?i)readonly|read only"):
                await step(gauge)
    finally:
        await real.witness.execute_command("REPLICAOF", "NO", "ONE")


@pytest.mark.parametrize("held", [0, 2])
async def test_a_redis_whose_memory_is_full_counts_as_ever(real: Store, layout: str, held: int) -> None:
    """LiteLLM's scripts fail there; slots that could not be renewed would lapse under their requests."""
    gauge = real.gauge(layout)
    leases = [Lease(GAUGE, str(number)) for number in range(held)]
    for lease in leases:
        await gauge.acquire(lease, 9)
    await real.witness.config_set("maxmemory", 1)
    try:
        with pytest.raises(aioredis.ResponseError, match="maxmemory"):
            await real.witness.set("anything", 1, px=1)
        for _ in range(2):
            assert await gauge.acquire(A, held + 1) == Admission(True, held + 1)
            assert await gauge.acquire(Lease(GAUGE, "another"), held + 1) == Admission(False, held + 1)
            assert await gauge.renew([A, *leases]) == set()
            assert await gauge.release(A) == held
        assert await real.in_flight(layout) == await gauge.count(GAUGE) == held
    finally:
        await real.witness.config_set("maxmemory", 0)


async def test_a_client_that_cannot_be_made_is_unavailable(step: Callable[[RedisGauge], Awaitable[object]]) -> None:
    def no_client() -> Any:
        raise RuntimeError("no Redis is configured")

    gauge = RedisGauge(no_client, LAYOUTS["slots"], lease_seconds=30, timeout_seconds=1)
    with pytest.raises(GaugeUnavailableError, match="no Redis is configured"):
        await step(gauge)


async def test_a_cancellation_passes_through(
    real: Store, gauge_redis: RedisServer, step: Callable[[RedisGauge], Awaitable[object]]
) -> None:
    gauge = real.gauge()
    await gauge.count(GAUGE)
    gauge_redis.pause()
    try:
        task = asyncio.ensure_future(step(gauge))
        await asyncio.sleep(0.05)
        assert not task.done()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    finally:
        gauge_redis.resume()
    assert isinstance(await step(gauge), object)
    assert await gauge.count(GAUGE) == await real.in_flight("slots")


async def test_the_client_is_asked_for_each_time(store: Store) -> None:
    """LiteLLM has one client per event loop, and may make a new one at any time."""
    asked: list[int] = []

    def factory() -> Any:
        asked.append(1)
        return store.client

    gauge = RedisGauge(factory, LAYOUTS["slots"], lease_seconds=30, timeout_seconds=5)
    for act in STEPS.values():
        await act(gauge)

    assert len(asked) == len(STEPS)


async def test_many_gauges_are_renewed_by_few_commands_and_each_lost_lease_is_told(real: Store, layout: str) -> None:
    gauge = real.gauge(layout)
    held = [Lease(f"api_key:{n}", str(n)) for n in range(120)]
    for lease in held[::2]:
        await gauge.acquire(lease, 1)
    await gauge.renew(held)  # Redis has the script from here on
    await real.witness.config_resetstat()

    assert await gauge.renew(held) == set(held[1::2])
    assert (await real.witness.info("commandstats"))["cmdstat_evalsha"]["calls"] == 3


async def test_renewing_many_gauges_is_one_round_trip(real: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    gauge = real.gauge("counted")
    leases = [Lease(f"api_key:{i}") for i in range(100)]
    for lease in leases:
        await gauge.acquire(lease, 1)
    await gauge.renew(leases)
    sent: list[object] = []
    plain = aioredis.Connection.send_packed_command

    async def counting(self: Any, command: Any, *args: Any, **kwargs: Any) -> None:
        sent.append(command)
        await plain(self, command, *args, **kwargs)

    monkeypatch.setattr(aioredis.Connection, "send_packed_command", counting)
    assert await gauge.renew(leases) == set()
    assert len(sent) == 1


def test_the_package_is_imported_without_redis() -> None:
    code = "import sys, litellm_cancel_guard.gauge.redis; sys.exit('redis' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
