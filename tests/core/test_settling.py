"""What a request has reserved is settled by one of its callbacks, in whichever of LiteLLM's shapes its book is kept."""

from __future__ import annotations

import asyncio
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import pytest

from litellm_cancel_guard.host.limiter.reservations import settle_once
from tests.terminal.loose import touch

RESERVED = 72

_stash: ContextVar[Any] = ContextVar("stash")


def get_request_stash() -> Any:
    """Where LiteLLM's limiter keeps a request's book from 1.95 on: beside the class."""
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
    """1.95 - 1.110: looks whether another has given it back, waits for Redis, and says so then."""

    async def async_post_call_failure_hook(self, _data: Any) -> None:
        book = get_request_stash()
        if not book.reservation_released:
            await self.give_back(book.reserved_tokens)
            book.reservation_released = True

    async_log_failure_event = async_post_call_failure_hook

    async def async_log_success_event(self, _data: Any) -> None:
        await self.give_back(get_request_stash().reserved_tokens)


class ByMarks(Counter):
    """1.86 - 1.94: the same, in the request's metadata."""

    def _get_reserved_tokens_from_kwargs(self, kwargs: Any) -> int:
        return int(kwargs["metadata"]["reserved"])

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


@pytest.fixture(autouse=True)
def data() -> dict[str, Any]:
    _stash.set(Book())
    return {"metadata": {"reserved": RESERVED}}


@pytest.mark.parametrize("first", HOOKS)
@pytest.mark.parametrize("second", HOOKS)
async def test_of_two_callbacks_that_come_at_once_one_settles(
    limiter: Any, data: dict[str, Any], first: str, second: str
) -> None:
    await asyncio.gather(getattr(limiter, first)(data), getattr(limiter, second)(data))
    assert limiter.counted == 0


@pytest.mark.parametrize("limiter", [ByStash], indirect=True)
async def test_requests_that_end_at_once_are_settled_each_by_itself(limiter: Any, data: dict[str, Any]) -> None:
    async def one() -> None:
        _stash.set(Book())
        await asyncio.gather(*(getattr(limiter, hook)(data) for hook in HOOKS))

    limiter.counted = 10 * RESERVED
    await asyncio.gather(*(asyncio.create_task(one()) for _ in range(10)))
    assert limiter.counted == 0
