"""The door to Redis: which scripts are sent and how, and what becomes of Redis' errors."""

from __future__ import annotations

import asyncio
import logging
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
from litellm_cancel_guard.gauge.notice import order
from litellm_cancel_guard.gauge.redis import RedisGauge
from litellm_cancel_guard.lease.lease import Admission, Lease
from tests.gauge.stores import GAUGE, LAYOUTS, LIMITER_KEY, Store
from tests.harness.process import LOOPBACK, free_port

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from tests.harness.redis_server import RedisServer

A, B = Lease(GAUGE, "a"), Lease("api_key:b", "b")

STEPS: dict[str, Callable[[RedisGauge], Awaitable[object]]] = {
    "acquire": lambda gauge: gauge.acquire(A, 1),
    "refused": lambda gauge: gauge.acquire(Lease(GAUGE, "another"), 1),
    "release": lambda gauge: gauge.release(A),
    "renew": lambda gauge: gauge.renew([A, B]),
    "hold": lambda gauge: gauge.hold([(A, 1), (Lease(GAUGE, "another"), 1)]),
    "count": lambda gauge: gauge.count(GAUGE),
    "slots": lambda gauge: gauge.slots(GAUGE),
}


@pytest.fixture(params=list(STEPS))
def step(request: pytest.FixtureRequest) -> Callable[[RedisGauge], Awaitable[object]]:
    return STEPS[request.param]


async def test_scripts_that_the_server_forgot_are_sent_again(store: Store, layout: str) -> None:
    gauge = store.gauge(layout)
    for _ in range(2):
        for act in STEPS.values():
            await store.witness.script_flush()
            await act(gauge)

    assert await gauge.acquire(A, 1) == Admission(True, 1)
    await store.witness.script_flush()
    assert await gauge.renew([A, B]) == {B}


async def test_a_forgotten_script_is_no_reason_to_send_texts_from_then_on(
    real: Store, caplog: pytest.LogCaptureFixture
) -> None:
    gauge = real.gauge()
    await real.witness.script_flush()
    await gauge.count(GAUGE)
    await real.witness.config_resetstat()
    await gauge.count(GAUGE)

    assert set(await real.witness.info("commandstats")) & {"cmdstat_eval", "cmdstat_evalsha"} == {"cmdstat_evalsha"}
    assert caplog.records == []


@pytest.fixture
async def without_evalsha(real: Store, gauge_redis: RedisServer) -> AsyncIterator[Store]:
    """A user who may run no EVALSHA and no SCRIPT, as behind some proxies and managed services."""
    await real.witness.execute_command("ACL", "SETUSER", "plain", "on", ">secret", "~*", "+@all", "-evalsha", "-script")
    client = aioredis.Redis(host=LOOPBACK, port=gauge_redis.port, username="plain", password="secret")
    yield Store(client, real.witness)
    await client.aclose()
    await real.witness.execute_command("ACL", "DELUSER", "plain")


async def test_where_evalsha_is_refused_texts_are_sent_and_the_log_says_so_once(
    without_evalsha: Store, layout: str, caplog: pytest.LogCaptureFixture
) -> None:
    gauge = without_evalsha.gauge(layout)
    assert await gauge.acquire(A, 1) == Admission(True, 1)
    await without_evalsha.witness.config_resetstat()
    assert await gauge.renew([A, B]) == {B}
    assert await gauge.release(A) == 0

    assert "cmdstat_evalsha" not in await without_evalsha.witness.info("commandstats")
    [said] = caplog.records
    assert (said.name, said.levelno, "EVALSHA" in said.message) == ("LiteLLM Proxy", logging.WARNING, True)


async def test_where_evalsha_is_refused_a_first_renewal_sends_texts_too(
    without_evalsha: Store, layout: str, caplog: pytest.LogCaptureFixture
) -> None:
    gauge = without_evalsha.gauge(layout)

    assert await gauge.renew([A, B]) == {A, B}
    assert len(caplog.records) == 1


@pytest.fixture
async def without_eval(real: Store, gauge_redis: RedisServer) -> AsyncIterator[Store]:
    """A user who may run scripts by their SHA alone, as redis-py's own scripts do, and so LiteLLM's."""
    await real.witness.execute_command("ACL", "SETUSER", "by_sha", "on", ">secret", "~*", "&*", "+@all", "-eval")
    client = aioredis.Redis(host=LOOPBACK, port=gauge_redis.port, username="by_sha", password="secret")
    yield Store(client, real.witness)
    await client.aclose()
    await real.witness.execute_command("ACL", "DELUSER", "by_sha")


async def test_where_eval_is_refused_scripts_are_loaded(
    without_eval: Store,
    layout: str,
    step: Callable[[RedisGauge], Awaitable[object]],
    caplog: pytest.LogCaptureFixture,
) -> None:
    gauge, other = without_eval.gauge(layout), Store(without_eval.witness, without_eval.witness).gauge(layout)
    answers = []
    for each in (gauge, other):
        await without_eval.witness.flushall()
        await each.acquire(A, 2)
        await without_eval.witness.script_flush()
        answer = await step(each)
        answers.append([name for name, _ in answer] if isinstance(answer, list) and step is STEPS["slots"] else answer)

    assert answers[0] == answers[1]
    assert caplog.records == []


async def test_where_a_cluster_refuses_eval_scripts_are_loaded_by_a_client_whose_nodes_have_no_hash(
    cluster_port: int, layout: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As those of redis 5 and 6; for 5.3.1 LiteLLM 1.110 is made (caching/redis_cluster_node_isolation.py)."""
    monkeypatch.setattr(ClusterNode, "__hash__", None)
    as_text: Any = aioredis.Redis(host=LOOPBACK, port=cluster_port, decode_responses=True)
    async with as_text as witness:
        await witness.flushall()
        await witness.execute_command("ACL", "SETUSER", "by_sha", "on", ">secret", "~*", "&*", "+@all", "-eval")
        client = aioredis.RedisCluster(host=LOOPBACK, port=cluster_port, username="by_sha", password="secret")
        gauge = Store(client, witness).gauge(layout)
        await gauge.acquire(A, 2)
        await witness.script_flush()
        assert await gauge.renew([A, B]) == {B}
        await client.aclose()
        await witness.execute_command("ACL", "DELUSER", "by_sha")
        await witness.flushall()


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


async def test_an_order_is_given_where_eval_is_refused(without_eval: Store) -> None:
    await without_eval.witness.script_flush()
    await order(without_eval.client, "orders", "a slot", "the test", stands=31.0)
    assert await without_eval.witness.hgetall("orders") == {"a slot": "the test"}


class WithoutEvalsha:
    """A server, or a proxy before it, that does not know the command."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    async def execute_command(self, command: str, *args: object) -> object:
        return await self._client.execute_command(f"{command}_OF_OLD" if command == "EVALSHA" else command, *args)


async def test_where_evalsha_is_unknown_texts_are_sent(real: Store, caplog: pytest.LogCaptureFixture) -> None:
    gauge = Store(WithoutEvalsha(real.client), real.witness).gauge()

    assert await gauge.acquire(A, 1) == Admission(True, 1)
    assert await gauge.count(GAUGE) == 1
    assert len(caplog.records) == 1


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


async def test_no_script_touches_a_key_that_it_was_not_given(real: Store, layout: str) -> None:
    """A cluster routes by KEYS, and an ACL may know no others; a single server would not object."""
    gauge = real.gauge(layout)
    for act in STEPS.values():  # known to the server from here on
        await act(gauge)
    declared, touched = set(), set()
    async with real.witness.monitor() as monitor:
        for act in STEPS.values():
            await act(gauge)
        await real.witness.echo("the end")
        async for entry in monitor.listen():
            command, *args = entry["command"].split(" ")
            if command == "ECHO":
                break
            if entry["client_type"] == "lua" and command != "TIME":
                touched.update(args if command in {"DEL", "EXISTS", "MGET"} else args[:1])
            elif command == "EVALSHA":
                declared.update(args[2 : 2 + int(args[1])])

    assert LIMITER_KEY in touched
    assert touched <= declared


def test_the_package_is_imported_without_redis() -> None:
    code = "import sys, litellm_cancel_guard.gauge.redis; sys.exit('redis' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
