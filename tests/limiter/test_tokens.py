"""What ended requests add to the tokens of the minute arrives whole, in few commands."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING, Any

import anyio
import redis.asyncio as aioredis

from litellm_cancel_guard.host.grafting import Touch
from litellm_cancel_guard.host.limiter.tokens import TokenCounts, gather, send_apart_where_asked
from litellm_cancel_guard.lease.graft import Graft
from tests.limiter.conftest import new_limiter

if TYPE_CHECKING:
    import pytest


def increment(key: str, by: float, ttl: int | None = 60) -> dict[str, Any]:
    return {"key": key, "increment_value": by, "ttl": ttl}


def touch() -> Touch:
    return Touch(Graft("tokens", "tokens", "more round trips"))


class Limiter:
    """Counts what each success has used, as LiteLLM's does; *used* may be whatever a provider says."""

    def __init__(self) -> None:
        self.sent: list[list[dict[str, Any]]] = []
        self.counted = asyncio.Event()

    async def async_increment_tokens_with_ttl_preservation(self, pipeline_operations: list[dict[str, Any]]) -> None:
        self.sent.append(pipeline_operations)
        self.counted.set()

    async def async_log_success_event(self, used: Any) -> None:
        operations = [increment("{api_key:a}:tokens", 1), increment("{user:u}:tokens", used)]
        await self.async_increment_tokens_with_ttl_preservation(pipeline_operations=operations)


class Sent:
    """Stands for LiteLLM's method; knows when it was called."""

    def __init__(self, fail: int = 0) -> None:
        self.calls: list[list[dict[str, Any]]] = []
        self.called = asyncio.Event()
        self._fail = fail

    async def __call__(self, pipeline_operations: list[dict[str, Any]]) -> None:
        self.calls.append(pipeline_operations)
        self.called.set()
        if len(self.calls) <= self._fail:
            raise ConnectionError("Redis is away")

    async def next(self) -> list[dict[str, Any]]:
        with anyio.fail_after(5):
            await self.called.wait()
        self.called.clear()
        return self.calls[-1]


async def test_the_counts_of_many_requests_go_out_together_and_nothing_is_lost() -> None:
    sent = Sent()
    counts = TokenCounts(sent)
    for _ in range(50):
        counts.add([increment("{api_key:a}:tokens", 7), increment("{user:u}:tokens", 7, None)])
    counts.add([increment("{api_key:b}:tokens", 1)])

    gathered = await sent.next()
    assert len(sent.calls) == 1
    assert Counter({one["key"]: one["increment_value"] for one in gathered}) == {
        "{api_key:a}:tokens": 350,
        "{user:u}:tokens": 350,
        "{api_key:b}:tokens": 1,
    }
    assert {one["key"]: one["ttl"] for one in gathered}["{user:u}:tokens"] is None


async def test_what_comes_later_goes_out_later() -> None:
    sent = Sent()
    counts = TokenCounts(sent)
    counts.add([increment("k", 1)])
    assert await sent.next() == [increment("k", 1)]
    counts.add([increment("k", 2)])
    assert await sent.next() == [increment("k", 2)]


async def test_the_callers_own_operations_are_not_changed() -> None:
    sent, mine = Sent(), increment("k", 3)
    counts = TokenCounts(sent)
    counts.add([mine])
    counts.add([mine])

    assert (await sent.next())[0]["increment_value"] == 6
    assert mine == increment("k", 3)


async def test_nothing_to_count_sends_nothing_and_a_failure_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    sent = Sent(fail=1)
    counts = TokenCounts(sent)
    counts.add([])
    counts.add([increment("k", 1)])
    await sent.next()
    counts.add([increment("k", 2)])

    assert await sent.next() == [increment("k", 2)]
    assert [record.message for record in caplog.records] == [
        "cancel_guard: LiteLLM could not count the tokens of 1 counters"
    ]


async def test_an_increment_that_is_no_number_goes_out_as_it_is_and_the_next_ones_are_counted() -> None:
    limiter = Limiter()
    gather(limiter, touch())
    await limiter.async_log_success_event("12")
    assert limiter.sent == [[increment("{api_key:a}:tokens", 1), increment("{user:u}:tokens", "12")]]  # type: ignore[arg-type]

    limiter.counted.clear()
    await limiter.async_log_success_event(12)
    with anyio.fail_after(5):
        await limiter.counted.wait()
    assert limiter.sent[1:] == [[increment("{api_key:a}:tokens", 1), increment("{user:u}:tokens", 12)]]


async def test_what_a_cancelled_task_has_not_sent_goes_out_with_what_is_counted_next() -> None:
    sent = Sent()
    counts = TokenCounts(sent)
    before = asyncio.all_tasks()
    counts.add([increment("k", 1)])
    (gathering,) = asyncio.all_tasks() - before
    gathering.cancel()
    await asyncio.wait((gathering,))

    counts.add([increment("k", 2)])
    assert await sent.next() == [increment("k", 3)]


async def test_what_is_gathered_when_the_event_loop_ends_goes_out_before_it_does() -> None:
    sent = Sent()

    async def serve() -> None:
        TokenCounts(sent).add([increment("k", 1)])
        await asyncio.sleep(0)

    await asyncio.to_thread(asyncio.run, serve())
    assert sent.calls == [[increment("k", 1)]]


async def test_what_is_counted_while_a_batch_goes_out_follows_it() -> None:
    go_on, calls = asyncio.Event(), asyncio.Queue[Any]()

    async def send(pipeline_operations: list[dict[str, Any]]) -> None:
        calls.put_nowait(pipeline_operations)
        await go_on.wait()

    counts = TokenCounts(send)
    counts.add([increment("k", 1)])
    with anyio.fail_after(5):
        assert await calls.get() == [increment("k", 1)]
        counts.add([increment("k", 2)])
        assert await calls.get() == [increment("k", 2)]
    go_on.set()


async def test_where_redis_keeps_to_hash_slots_the_tokens_of_each_tag_are_counted_by_themselves(
    one_shard: int, caplog: pytest.LogCaptureFixture
) -> None:
    """Refused together, LiteLLM would set each key's TTL anew: the tokens of a busy key never left their minute."""
    limiter = new_limiter(one_shard)
    gather(limiter, touch())
    send_apart_where_asked(limiter, touch())
    keys = ["{api_key:a}:tokens", "{api_key:b}:tokens", "{api_key:a}:of_another_model"]
    async with aioredis.Redis(port=one_shard, decode_responses=True) as witness:
        await witness.set(keys[0], 5, ex=20)
        for _ in range(2):
            await limiter.async_increment_tokens_with_ttl_preservation([increment(key, 7) for key in keys])

        assert await witness.mget(keys[0], keys[2]) + [await witness.get(keys[1])] == ["19", "14", "14"]
        assert await witness.ttl(keys[0]) <= 20
        refused = (await witness.info("commandstats"))["cmdstat_evalsha"]["rejected_calls"]
    assert refused == 1
    assert "falling back" not in caplog.text
