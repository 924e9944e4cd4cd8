"""How scripts are sent: by their SHA, by their text, or loaded, as the server allows."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import redis.asyncio as aioredis
from redis.asyncio.cluster import ClusterNode

from litellm_cancel_guard.gauge.notice import order
from litellm_cancel_guard.lease.lease import Admission
from tests.gauge.steps import STEPS, A, B
from tests.gauge.stores import GAUGE, LIMITER_KEY, Store
from tests.harness.process import LOOPBACK

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    import pytest

    from litellm_cancel_guard.gauge.redis import RedisGauge


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
        await witness.execute_command("ACL", "SETUSER", "by_sha", "on", ">secret", "~*", "&*", "+@all", "-eval")
        client = aioredis.RedisCluster(host=LOOPBACK, port=cluster_port, username="by_sha", password="secret")
        gauge = Store(client, witness).gauge(layout)
        await gauge.acquire(A, 2)
        await witness.script_flush()
        assert await gauge.renew([A, B]) == {B}
        await client.aclose()
        await witness.execute_command("ACL", "DELUSER", "by_sha")
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
