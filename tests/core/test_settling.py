"""What a request has reserved is settled by one of its callbacks, in whichever of LiteLLM's shapes its book is kept."""

from __future__ import annotations

import asyncio
import copy
import uuid
from contextvars import Context, ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from litellm_cancel_guard.host.limiter.reservations import settle_once
from tests.terminal.loose import touch

if TYPE_CHECKING:
    from collections.abc import Callable

RESERVED = 72

_stash: ContextVar[Any] = ContextVar("stash")


def get_request_stash() -> Any:
    """Where LiteLLM's limiter keeps a request's book from 1.96 on: beside the class."""
    return _stash.get(None)


@dataclass(slots=True)
class Book:
    """As it is up to 1.102: it takes no weak reference, is not hashable, and has no lock of its own."""

    reserved_tokens: int = RESERVED
    reservation_released: bool = False
    owner_litellm_call_id: str | None = None


class Counter:
    """What is counted in Redis, and answered a turn later."""

    def __init__(self) -> None:
        self.counted = RESERVED

    async def give_back(self, tokens: int) -> None:
        await asyncio.sleep(0)
        self.counted -= tokens


class ByStash(Counter):
    """1.96 - 1.110: looks whether another has given it back, waits for Redis, and says so then."""

    async def async_post_call_failure_hook(self, _data: Any) -> None:
        book = get_request_stash()
        if not book.reservation_released:
            await self.give_back(book.reserved_tokens)
            book.reservation_released = True

    async_log_failure_event = async_post_call_failure_hook

    async def async_log_success_event(self, _data: Any) -> None:
        await self.give_back(get_request_stash().reserved_tokens)


class ByMarks(Counter):
    """1.85 - 1.95: the same, in the request's metadata."""

    def _stash_reservation_in_data(self, data: Any) -> None:
        data["metadata"] = {"reserved": RESERVED}

    def _get_reserved_tokens_from_kwargs(self, kwargs: Any) -> int:
        return int(kwargs["metadata"].get("reserved", 0))

    def _is_reservation_released(self, kwargs: Any) -> bool:
        return bool(kwargs["metadata"].get("released"))

    def _mark_reservation_released(self, data: Any) -> None:
        data["metadata"]["released"] = True

    async def async_post_call_failure_hook(self, data: Any) -> None:
        if not self._is_reservation_released(kwargs=data):
            await self.give_back(self._get_reserved_tokens_from_kwargs(kwargs=data))
            self._mark_reservation_released(data)

    async_log_failure_event = async_post_call_failure_hook

    async def async_log_success_event(self, data: Any) -> None:
        await self.give_back(self._get_reserved_tokens_from_kwargs(kwargs=data))


HOOKS = "async_post_call_failure_hook", "async_log_failure_event", "async_log_success_event"


@pytest.fixture(params=[ByStash, ByMarks])
def limiter(request: pytest.FixtureRequest) -> Any:
    limiter = request.param()
    settle_once(limiter, touch())
    return limiter


def reserved(limiter: Any, call: str | None = None) -> dict[str, Any]:
    """What a request hands its callbacks, once the limiter has reserved for it."""
    data: dict[str, Any] = {"litellm_call_id": uuid.uuid4().hex if call is None else call}
    _stash.set(Book())
    if isinstance(limiter, ByMarks):
        limiter._stash_reservation_in_data(data=data)
    return data


@pytest.mark.parametrize("first", HOOKS)
@pytest.mark.parametrize("second", HOOKS)
@pytest.mark.parametrize("of_the_other", [lambda data: data, copy.deepcopy], ids=["the same data", "a copy of it"])
async def test_of_two_callbacks_that_come_at_once_one_settles(
    limiter: Any, first: str, second: str, of_the_other: Callable[[Any], Any]
) -> None:
    """On `/v1/messages` a log event and the failure hook share no metadata (1.88.6: 72 reserved, 8 used, -64)."""
    data = reserved(limiter)
    await asyncio.gather(getattr(limiter, first)(data), getattr(limiter, second)(of_the_other(data)))
    assert limiter.counted == 0


async def test_requests_that_end_at_once_are_settled_each_by_itself(limiter: Any) -> None:
    async def one() -> None:
        data = reserved(limiter)
        await asyncio.gather(*(getattr(limiter, hook)(data) for hook in HOOKS))

    limiter.counted = 10 * RESERVED
    await asyncio.gather(*(asyncio.create_task(one()) for _ in range(10)))
    assert limiter.counted == 0


@pytest.mark.parametrize("limiter", [ByMarks], indirect=True)
async def test_what_a_guardrail_asks_a_model_settles_nothing(limiter: Any) -> None:
    data = reserved(limiter)
    await limiter.async_log_success_event({"metadata": {}})
    assert limiter.counted == RESERVED
    await limiter.async_log_success_event(data)
    assert limiter.counted == 0


@pytest.mark.parametrize("limiter", [ByMarks], indirect=True)
async def test_a_failure_that_is_logged_outside_of_the_requests_context_is_given_back_once(limiter: Any) -> None:
    """A failed stream of /v1/responses is logged in a thread (1.88.6, /v1/messages to OpenAI: 72 reserved, -72)."""
    data = reserved(limiter)
    logs = limiter.async_log_failure_event(copy.deepcopy(data))
    await Context().run(asyncio.get_running_loop().create_task, logs)
    await limiter.async_post_call_failure_hook(data)
    assert limiter.counted == 0


@pytest.mark.parametrize("limiter", [ByMarks], indirect=True)
async def test_an_id_that_two_requests_have_settles_neither_for_the_other(limiter: Any) -> None:
    """A client may choose it."""
    limiter.counted = 2 * RESERVED
    made = [Context() for _ in range(2)]
    datas = [context.run(reserved, limiter, "the client's own") for context in made]
    for data in datas:
        await Context().run(asyncio.get_running_loop().create_task, limiter.async_log_failure_event(data))
    assert limiter.counted == 0
