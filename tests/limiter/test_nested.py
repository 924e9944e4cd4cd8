"""Which calls run under the slot of another: what a tool's server asks for while its tool runs, and nothing else."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from litellm_cancel_guard.host.serving import Noted
from litellm_cancel_guard.lease.routes import NESTED_ROUTE
from tests.limiter.conftest import new_limiter

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from litellm_cancel_guard.ledger.registry import Request
    from litellm_cancel_guard.worker import Worker

POST = {"type": "http", "method": "POST"}


@pytest.fixture
async def worker(attached: Callable[[Any], Worker]) -> Worker:
    """It was attached in a request of its own."""

    async def attach() -> Worker:
        return attached(new_limiter())

    return await asyncio.create_task(attach())


def opened(worker: Worker, route: str) -> Request | None:
    worker.open(route, guard=None)
    return worker.guarded_request()


async def in_a_task(worker: Worker, route: str) -> Request | None:
    """As LiteLLM's MCP client does, and the hooks behind keep-alives."""

    async def call() -> Request | None:
        return opened(worker, route)

    return await asyncio.create_task(call())


def served(act: Callable[[], Awaitable[None]]) -> asyncio.Task[None]:
    """An HTTP request, in a task with a copy of this context."""

    async def app(*_: Any) -> None:
        await act()

    async def serve() -> None:
        await Noted(app)(POST, None, None)

    return asyncio.create_task(serve())


@pytest.mark.parametrize("route", [NESTED_ROUTE, "aresponses"])
async def test_a_sampling_runs_under_the_slot_of_the_request_that_called_the_tool(worker: Worker, route: str) -> None:
    found: list[Request | None] = []

    async def act() -> None:
        found.append(opened(worker, route))
        found.append(opened(worker, NESTED_ROUTE))
        found.append(await in_a_task(worker, "acompletion"))
        found.append(await in_a_task(worker, "acompletion"))

    await served(act)
    assert found[0] is not None
    assert found == [found[0]] * 4


async def test_so_does_one_of_a_tool_that_was_called_in_a_task_of_its_own(worker: Worker) -> None:
    found: list[Request | None] = []

    async def call() -> None:
        found.append(opened(worker, NESTED_ROUTE))
        found.append(await in_a_task(worker, "acompletion"))

    async def act() -> None:
        await asyncio.create_task(call())

    await served(act)
    assert found[0] is not None
    assert found[1] is found[0]


async def test_what_comes_without_a_tool_has_a_slot_of_its_own(worker: Worker) -> None:
    found: list[Request | None] = []

    async def act() -> None:
        found.append(opened(worker, "acompletion"))
        found.append(await in_a_task(worker, "acompletion"))

    await served(act)
    assert found[1] is not found[0]


@pytest.mark.parametrize("hooks_in_a_task", [False, True], ids=["plain", "behind keep-alives"])
async def test_a_request_pipelined_behind_a_tool_call_has_a_slot_of_its_own(
    worker: Worker, hooks_in_a_task: bool
) -> None:
    """uvicorn starts it from inside the task of the call, whose context it inherits."""
    found: list[Request | None] = []

    async def second() -> None:
        found.append(await in_a_task(worker, "acompletion") if hooks_in_a_task else opened(worker, "acompletion"))

    async def first() -> None:
        found.append(opened(worker, NESTED_ROUTE))
        await served(second)

    await served(first)
    assert None not in found
    assert found[1] is not found[0]
