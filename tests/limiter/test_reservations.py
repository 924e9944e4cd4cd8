"""What LiteLLM has reserved of a key's tokens is given back once, whichever of its callbacks a stream comes to."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from tests.harness.witness import settled
from tests.limiter.conftest import Client, new_limiter

if TYPE_CHECKING:
    from collections.abc import Callable

    from litellm_cancel_guard.worker import Worker
    from tests.harness.redis_server import RedisServer

# LiteLLM makes its types of an answer when the first is made, of what pydantic warns of.
pytestmark = pytest.mark.filterwarnings("ignore:Item '.*' on TypedDict:UserWarning")

USED = 8


class Request:
    """One that has reserved tokens, and may end as LiteLLM ends its requests."""

    def __init__(self, client: Client, redis_server: RedisServer) -> None:
        self._client = client
        self._store: Any = redis_server.client
        self._data: dict[str, Any] = {}

    async def reserved(self) -> None:
        self._data = await self._client.pre_call()
        if not self.counted:
            pytest.skip("this LiteLLM reserves nothing")

    @property
    def counted(self) -> int:
        return int(self._store.get(f"{{api_key:{self._client.hash}}}:tokens") or 0)

    async def failure_hook(self) -> None:
        await self._client.limiter.async_post_call_failure_hook(
            request_data=self._data, original_exception=RuntimeError(), user_api_key_dict=self._client.auth
        )

    async def failure_event(self) -> None:
        await self._client.limiter.async_log_failure_event(self._event(), None, None, None)

    async def success_event(self) -> None:
        from litellm import ModelResponse, Usage

        answer = ModelResponse(usage=Usage(prompt_tokens=USED - 1, completion_tokens=1, total_tokens=USED))
        await self._client.limiter.async_log_success_event(self._event(), answer, None, None)

    def _event(self) -> dict[str, Any]:
        # Up to 1.94 what was reserved is told in the request's metadata, which its log events share.
        logged = {"metadata": {"user_api_key_hash": self._client.hash}}
        return {"litellm_params": {"metadata": self._data.get("metadata")}, "standard_logging_object": logged}


@pytest.fixture
async def request_(attached: Callable[[Any], Worker], redis_server: RedisServer) -> Request:
    limiter = new_limiter(redis_server.port)
    return Request(Client(attached(limiter), limiter, max_parallel_requests=4, tpm_limit=100_000), redis_server)


async def test_a_success_that_was_reported_as_a_failure_before_counts_what_it_used(request_: Request) -> None:
    """`/v1/messages` logs a success for a stream that failed in the middle, and the guard reports the failure."""
    await request_.reserved()
    await request_.failure_hook()
    assert request_.counted == 0
    await request_.success_event()
    assert await settled(lambda: request_.counted, USED) == USED


async def test_a_success_that_is_reported_as_a_failure_behind_that_counts_what_it_used(request_: Request) -> None:
    await request_.reserved()
    await request_.success_event()
    assert await settled(lambda: request_.counted, USED) == USED
    await request_.failure_hook()
    assert request_.counted == USED


async def test_two_answers_to_one_request_count_what_both_used(request_: Request) -> None:
    """LiteLLM asks the model again with what a tool has answered."""
    await request_.reserved()
    for _ in range(2):
        await request_.success_event()
    assert await settled(lambda: request_.counted, 2 * USED) == 2 * USED


async def test_a_failure_that_is_logged_while_it_is_reported_is_given_back_once(request_: Request) -> None:
    await request_.reserved()
    await asyncio.gather(request_.failure_hook(), request_.failure_event())
    assert request_.counted == 0


async def test_a_request_that_succeeds_at_its_second_attempt_counts_what_it_used(request_: Request) -> None:
    await request_.reserved()
    await request_.failure_event()
    await request_.success_event()
    assert await settled(lambda: request_.counted, USED) == USED
