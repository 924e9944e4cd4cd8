"""A thread renews while the event loop stands still, and nothing that has ended: asked of a real Redis."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from contextlib import closing
from typing import TYPE_CHECKING, Any, cast

import pytest
import redis
import redis.asyncio as aioredis

from litellm_cancel_guard.lease.lease import Ending, Lease, Turn
from litellm_cancel_guard.ledger.ledger import Ledger
from litellm_cancel_guard.ledger.registry import Registry, Request
from litellm_cancel_guard.operator.reload import InForce
from litellm_cancel_guard.settings import Settings
from tests.gauge.stalled import LEASE, SOON, Worker, left_in, until
from tests.gauge.stores import GAUGE, LAYOUTS
from tests.harness.process import LOOPBACK
from tests.harness.redis_cluster import RedisCluster

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.harness.redis_server import RedisServer


@pytest.mark.parametrize("layout", LAYOUTS)
async def test_a_slot_is_held_for_as_long_as_the_loop_stands_still(
    worker_of: Callable[..., Worker],
    left: Callable[[Worker], list[float]],
    layout: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    worker = worker_of(layout)
    for _ in range(3):
        await worker.admitted()
    await worker.beat()
    stands_until, least = time.monotonic() + 3 * LEASE, LEASE
    while time.monotonic() < stands_until:
        slots = left(worker)
        assert len(slots) == 3
        least = min(least, *slots)
        time.sleep(0.02)  # noqa: ASYNC251 - the loop stands still: that is the case
    assert len(worker.asked) >= 3
    assert least > 0
    await asyncio.sleep(0)
    until(lambda: worker.ledger.stand_in._thread and worker.ledger.stand_in._thread.stood_still)
    with caplog.at_level(logging.WARNING):
        await worker.beat()
    assert "a thread renewed the slots held here meanwhile" in caplog.text
    assert "lapsed" not in caplog.text
    assert len(left(worker)) == 3


@pytest.mark.more
async def test_so_it_is_in_a_cluster(cluster_port: int) -> None:
    with redis.Redis(host=LOOPBACK, port=cluster_port) as witness:
        witness.flushall()
        worker = Worker(cluster_port, client=aioredis.RedisCluster)
        request = await worker.admitted()
        await worker.beat()
        stands_until = time.monotonic() + 2 * LEASE
        while time.monotonic() < stands_until:
            assert len(left_in(witness, worker)) == 1
            time.sleep(0.02)  # noqa: ASYNC251 - the loop stands still: that is the case
        await worker.ledger.end(request, Ending.COMPLETED)
        await worker.ledger.give_back()
        await worker.client.aclose()


@pytest.mark.more
@pytest.mark.timeout(120)
async def test_what_lies_on_a_node_that_is_there_is_held_though_another_is_away(tmp_path: Path) -> None:
    with closing(RedisCluster(tmp_path)) as cluster:
        worker = Worker(cluster.ports[0], client=aioredis.RedisCluster)
        request = await worker.admitted()
        away = next(port for port in cluster.ports[1:] if port != cluster.client.get_node_from_key(worker.key).port)
        other = next(f"api_key:{n}" for n in range(99) if worker.gauge.node(f"api_key:{n}").endswith(f":{away}"))
        assert (await worker.ledger.admit(Request("acompletion"), other, 9)).admitted
        await worker.beat()
        cluster.stop(away)
        await worker.ledger.renew()
        assert list(worker.ledger.outage.away) == [f"{LOOPBACK}:{away}"]
        with redis.Redis(port=cluster.client.get_node_from_key(worker.key).port) as witness:
            stands_until = time.monotonic() + 2 * LEASE
            while time.monotonic() < stands_until:
                assert len(left_in(witness, worker)) == 1
        assert request.lease in worker.ledger._renewals.kept.leases
        await worker.ledger.give_back()
        await worker.client.aclose()


async def test_a_release_that_is_overtaken_by_a_renewal_frees_the_slot(
    worker_of: Callable[..., Worker], left: Callable[[Worker], list[float]]
) -> None:
    worker = worker_of()
    request = await worker.admitted()
    await worker.beat()
    worker.may_ask.clear()
    until(worker.asks.is_set)
    await worker.ledger.end(request, Ending.COMPLETED)
    assert left(worker) == []
    worker.may_ask.set()
    until(worker.answered.is_set)
    assert (worker.asked, left(worker)) == ([{request.lease}], [])


async def test_what_is_given_back_is_not_renewed_though_its_release_is_on_its_way(
    worker_of: Callable[..., Worker], left: Callable[[Worker], list[float]]
) -> None:
    """The loop stands still again before it could send it."""
    worker = worker_of()
    ended, stays = await worker.admitted(), await worker.admitted()
    await worker.beat()
    worker.ledger.end_soon(ended, Ending.COMPLETED)
    until(worker.answered.is_set)
    assert worker.asked[0] == {stays.lease}
    await worker.ledger._releases.wait_for_all(within=SOON)
    assert len(left(worker)) == 1


async def test_an_acquire_that_is_not_answered_yet_is_renewed_and_one_that_waits_in_line_is_not(
    worker_of: Callable[..., Worker],
) -> None:
    worker = worker_of()
    held, asks, waits = await worker.admitted(), Request("acompletion"), Request("acompletion")
    for request, turn in ((asks, None), (waits, Turn(9))):
        lease = Lease.new(GAUGE, "acompletion", turn)
        worker.ledger.registry.hold(request, lease, 9)
        worker.ledger._renewals.asking.add(lease)
    worker.ledger.stand_in.watch()
    until(worker.answered.is_set)
    assert worker.asked[0] == {held.lease, asks.lease}


@pytest.mark.more
async def test_while_the_loop_goes_on_no_connection_is_taken(worker_of: Callable[..., Worker]) -> None:
    worker = worker_of()
    await worker.admitted()
    for _ in range(8):
        await worker.beat()
        await asyncio.sleep(LEASE / 3)
    # A beat that comes to nothing: what the loop itself is told is no standstill.
    await asyncio.sleep(LEASE)
    assert (worker.asked, threading.active_count() > 1) == ([], True)


@pytest.mark.more
async def test_during_an_outage_it_does_not_ask(worker_of: Callable[..., Worker]) -> None:
    worker = worker_of()
    await worker.admitted()
    await worker.beat()
    worker.ledger.outage.begin(GAUGE, "no answer")
    time.sleep(2 * LEASE)  # noqa: ASYNC251 - the loop stands still: that is the case
    assert worker.asked == []
    worker.ledger.outage.end("")


@pytest.mark.more
async def test_after_its_time_it_lets_the_slots_lapse(
    worker_of: Callable[..., Worker], left: Callable[[Worker], list[float]], caplog: pytest.LogCaptureFixture
) -> None:
    worker = worker_of(max_stall_renewal_seconds=2 * LEASE)
    request = await worker.admitted()
    await worker.beat()
    began = time.monotonic()
    until(lambda: not left(worker))
    assert 2 * LEASE < time.monotonic() - began < 4 * LEASE
    with caplog.at_level(logging.WARNING):
        await worker.beat()
    assert "longer than max_stall_renewal_seconds (4)" in caplog.text
    assert "1 slots of running requests lapsed; 1 were still free and are held again" in caplog.text
    assert (request.ending, len(left(worker))) == (None, 1)


async def test_switched_off_there_is_no_thread(
    worker_of: Callable[..., Worker], left: Callable[[Worker], list[float]]
) -> None:
    worker = worker_of(max_stall_renewal_seconds=0)
    await worker.admitted()
    await worker.beat()
    until(lambda: not left(worker), 2 * LEASE)
    assert (worker.ledger.stand_in._thread, worker.asked) == (None, [])


@pytest.mark.more
async def test_a_redis_that_takes_no_more_connections_is_told_of_once_and_the_slots_lapse_as_ever(
    worker_of: Callable[..., Worker],
    left: Callable[[Worker], list[float]],
    gauge_redis: RedisServer,
    caplog: pytest.LogCaptureFixture,
) -> None:
    worker, client = worker_of(), cast("Any", gauge_redis.client)
    most = client.config_get("maxclients")["maxclients"]
    await worker.admitted()
    await worker.beat()
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            client.config_set("maxclients", client.info("clients")["connected_clients"])
            until(lambda: not left(worker))
            client.config_set("maxclients", most)
            await worker.beat()
    assert caplog.text.count("the thread that renews slots meanwhile could not") == 1
    assert len(left(worker)) == 1


@pytest.mark.more
async def test_where_no_client_can_be_made_that_is_told_once(
    worker_of: Callable[..., Worker], left: Callable[[Worker], list[float]], caplog: pytest.LogCaptureFixture
) -> None:
    def no_client() -> Any:
        raise AttributeError("redis_kwargs")

    worker = worker_of()
    worker.gauge._another = no_client
    await worker.admitted()
    await worker.beat()
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            until(lambda: not left(worker))
            await worker.beat()
    assert caplog.text.count("no client of its own: AttributeError: redis_kwargs") == 1


async def test_a_thread_that_is_gone_as_in_a_fork_is_followed_by_another_at_the_next_beat(
    worker_of: Callable[..., Worker],
) -> None:
    worker = worker_of()
    await worker.admitted()
    await worker.beat()
    first = worker.ledger.stand_in._thread
    assert first is not None
    first.end()
    first.join(SOON)
    await worker.beat()
    second = worker.ledger.stand_in._thread
    assert second is not None
    assert (second is not first, second.is_alive()) == (True, True)
    await worker.beat()
    assert worker.ledger.stand_in._thread is second


async def test_of_a_lease_that_was_shortened_it_does_not_sleep_through_all(
    worker_of: Callable[..., Worker], left: Callable[[Worker], list[float]]
) -> None:
    worker = worker_of()
    before, worker.settings = worker.settings, InForce(Settings(lease_seconds=600, redis_timeout=0.5))
    worker.ledger = Ledger(Registry(), worker.gauge, worker.settings, worker.apart)
    await worker.admitted()
    await worker.beat()
    worker.settings.adopt(before)
    await worker.beat()
    until(worker.answered.is_set, 2 * LEASE)
    assert len(left(worker)) == 1


def test_it_ends_with_its_loop(gauge_redis: RedisServer) -> None:
    threads: list[Any] = []

    async def serve() -> None:
        worker = Worker(gauge_redis.port)
        await worker.admitted()
        await worker.beat()
        threads.append(worker.ledger.stand_in._thread)
        await worker.client.aclose()

    asyncio.run(serve())
    threads[0].join(SOON)
    assert not threads[0].is_alive()


async def test_what_redis_lost_just_after_the_thread_renewed_it_is_written_again_whatever_the_count(
    worker_of: Callable[..., Worker], gauge_redis: RedisServer
) -> None:
    """It can't have lapsed: others may not have it by right."""
    worker = worker_of()
    request = await worker.admitted()
    await worker.beat()
    request.limit, request.opened_at, worker.ledger._renewals._asked_at = 0, 0.0, 0.0
    worker.may_ask.set()
    until(worker.answered.is_set)
    until(lambda: worker.ledger._renewals.kept.leases)
    gauge_redis.client.flushall()
    await worker.beat()
    assert request.ending is None


async def test_what_had_lapsed_when_the_thread_came_to_it_is_taken_back_under_the_cap_alone(
    worker_of: Callable[..., Worker], gauge_redis: RedisServer
) -> None:
    worker = worker_of()
    lapsed, kept = await worker.admitted(), await worker.admitted()
    await worker.beat()
    lapsed.limit, worker.ledger._renewals._asked_at = 1, 0.0
    lapsed.opened_at = kept.opened_at = 0.0
    assert lapsed.lease is not None
    gauge_redis.client.zrem(worker.key, lapsed.lease.id)
    until(lambda: worker.ledger._renewals.kept.leases)
    await worker.beat()
    assert (lapsed.ending, kept.ending) == (Ending.LAPSED, None)
