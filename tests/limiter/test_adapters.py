"""The guard decides on slots, the limiter on everything else, and its answers keep their shape."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from fastapi import HTTPException

from litellm_cancel_guard.lease.lease import Ending
from tests.limiter.conftest import Client, new_limiter

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from litellm_cancel_guard.worker import Worker
    from tests.harness.redis_server import RedisServer

    MakeClient = Callable[..., Awaitable[Client]]


async def test_the_cap_is_exact_and_what_ends_comes_back(client: MakeClient) -> None:
    key = await client(max_parallel_requests=2)
    over = asyncio.Event()
    tasks = [await key.in_flight(over) for _ in range(2)]

    with pytest.raises(HTTPException) as refused:
        await key.in_flight(over)
    assert (refused.value.status_code, await key.held()) == (429, 2)
    over.set()
    await asyncio.gather(*tasks)
    await key.until_held(0)
    tasks = [await key.in_flight(over) for _ in range(2)]
    await asyncio.gather(*tasks)


async def test_a_refusal_keeps_litellms_shape_and_says_what_is_true_of_a_slot(client: MakeClient) -> None:
    key = await client(max_parallel_requests=1)
    over = asyncio.Event()
    task = await key.in_flight(over)

    with pytest.raises(HTTPException) as refused:
        await key.in_flight(over)
    says, headers = str(refused.value.detail), refused.value.headers or {}
    assert f"Rate limit exceeded for api_key: {key.hash}. Limit type: max_parallel_requests" in says
    assert "Current limit: 1, Remaining: 0. In flight: 1. A slot comes free when one of them ends." in says
    assert (headers["retry-after"], headers["rate_limit_type"]) == ("1", "max_parallel_requests")
    over.set()
    await task


async def test_a_refusal_for_requests_of_the_minute_keeps_litellms_own_words(client: MakeClient) -> None:
    key = await client(max_parallel_requests=5, rpm_limit=1)
    over = asyncio.Event()
    over.set()
    await asyncio.create_task(key.request(over))

    with pytest.raises(HTTPException) as refused:
        await key.in_flight(over)
    assert "Limit resets at" in str(refused.value.detail)
    assert (refused.value.headers or {})["retry-after"] == str(key.limiter.window_size)


async def test_a_refusal_for_concurrency_uses_up_no_request_of_the_minute(client: MakeClient) -> None:
    key = await client(max_parallel_requests=1, rpm_limit=2)
    over = asyncio.Event()
    task = await key.in_flight(over)
    for _ in range(5):
        with pytest.raises(HTTPException, match="max_parallel_requests"):
            await key.in_flight(over)
    over.set()
    await task
    await key.until_held(0)

    await asyncio.create_task(key.request(over))


async def test_a_refusal_for_requests_of_the_minute_gives_the_slot_back(client: MakeClient) -> None:
    key = await client(max_parallel_requests=5, rpm_limit=1)
    over = asyncio.Event()
    over.set()
    await asyncio.create_task(key.request(over))

    with pytest.raises(HTTPException, match="requests"):
        await key.in_flight(over)
    await key.until_held(0)


async def test_the_pre_call_chain_that_runs_again_takes_no_second_slot(client: MakeClient) -> None:
    key = await client(max_parallel_requests=1)

    async def serve() -> int:
        await key.pre_call()
        await key.pre_call()
        return await key.held()

    assert await asyncio.create_task(serve()) == 1


async def test_a_tool_call_inside_an_answer_runs_under_its_slot(client: MakeClient) -> None:
    key = await client(max_parallel_requests=1)

    async def serve() -> int:
        await key.pre_call()
        await asyncio.create_task(key.pre_call({"name": "tool"}, "call_mcp_tool"))
        return await key.held()

    assert await asyncio.create_task(serve()) == 1


async def test_litellms_own_late_events_leave_the_count_true(client: MakeClient) -> None:
    key = await client(max_parallel_requests=3)
    over = asyncio.Event()
    task = await key.in_flight(over)
    event = {
        "standard_logging_object": {"metadata": {"user_api_key_hash": key.hash}},
        "litellm_params": {"metadata": {"user_api_key": key.hash}},
    }
    for _ in range(2):
        await key.limiter.async_log_success_event(event, None, None, None)
        await key.limiter.async_log_failure_event(event, None, None, None)

    assert await key.held() == 1
    over.set()
    await task


async def test_statuses_of_an_admission_tell_what_remains(client: MakeClient) -> None:
    key = await client(max_parallel_requests=3)

    async def serve() -> Any:
        await key.pre_call()
        descriptors = [{"key": "api_key", "value": key.hash, "rate_limit": {"max_parallel_requests": 3}}]
        return await key.limiter.should_rate_limit(descriptors=descriptors)

    response = await asyncio.create_task(serve())
    assert response["statuses"] == [
        {
            "code": "OK",
            "current_limit": 3,
            "limit_remaining": 2,
            "rate_limit_type": "max_parallel_requests",
            "descriptor_key": "api_key",
        }
    ]


async def test_a_call_that_only_looks_takes_no_slot(client: MakeClient) -> None:
    key = await client(max_parallel_requests=3)

    async def look() -> int:
        key.worker.open("acompletion", guard=None)
        descriptors = [{"key": "api_key", "value": key.hash, "rate_limit": {"max_parallel_requests": 3}}]
        await key.limiter.should_rate_limit(descriptors=descriptors, read_only=True)
        return await key.held()

    assert await asyncio.create_task(look()) == 0


async def test_an_ending_before_the_task_ends_frees_the_slot_at_once(client: MakeClient) -> None:
    key = await client(max_parallel_requests=1)

    async def serve() -> int:
        await key.pre_call()
        await key.end(Ending.COMPLETED)
        return await key.held()

    assert await asyncio.create_task(serve()) == 0


async def test_a_task_cancelled_in_the_acquire_leaves_nothing(client: MakeClient) -> None:
    key = await client(max_parallel_requests=1)
    for turns in range(12):
        task = asyncio.create_task(key.request(asyncio.Event()))
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait((task,))
        await key.until_held(0)


async def test_another_workers_release_is_seen_at_once(
    redis_server: RedisServer, attached: Callable[[Any], Worker]
) -> None:
    """LiteLLM first looks at a copy of the count in its process, and refuses on it without asking Redis."""
    limiter_a, limiter_b = new_limiter(redis_server.port), new_limiter(redis_server.port)
    worker_a = attached(limiter_a)
    here = Client(worker_a, limiter_a, max_parallel_requests=2)
    over_a, over_b = asyncio.Event(), asyncio.Event()
    worker_b = attached(limiter_b)
    there = Client(worker_b, limiter_b, max_parallel_requests=2)
    there.hash, there.auth = here.hash, here.auth
    task_b = await there.in_flight(over_b)
    attached(limiter_a)
    task_a = await here.in_flight(over_a)
    over_b.set()
    await task_b
    await here.until_held(1)

    task_c = await here.in_flight(over_a)
    over_a.set()
    await asyncio.gather(task_a, task_c)


async def test_litellms_own_release_frees_nothing_while_its_request_goes_on(client: MakeClient) -> None:
    """From 1.94 LiteLLM gives the slot back at the first failed attempt, while the retry runs."""
    key = await client(max_parallel_requests=1)
    over, given = asyncio.Event(), []
    original = key.limiter.should_rate_limit

    async def noting(*args: Any, **kwargs: Any) -> Any:
        given.append(kwargs.get("parallel_slot_id"))
        return await original(*args, **kwargs)

    key.limiter.should_rate_limit = noting
    task = await key.in_flight(over)
    release = getattr(key.limiter, "_release_parallel_request_slots", None)
    if release is not None:
        for _ in range(2):
            counter = key.limiter.create_rate_limit_keys("api_key", key.hash, "max_parallel_requests")
            await release({"slot_id": given[0], "counter_keys": [counter]})

    assert await key.held() == 1
    over.set()
    await task
