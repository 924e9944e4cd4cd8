"""One request for one ASGI task, ended once, whoever says so first."""

from __future__ import annotations

import asyncio
import contextvars

import pytest

from litellm_cancel_guard.lease.lease import Ending, Lease
from litellm_cancel_guard.ledger.registry import Registry, Request


@pytest.fixture
def registry() -> Registry:
    return Registry()


def running() -> asyncio.Task[object]:
    task = asyncio.current_task()
    assert task is not None
    return task


async def test_the_pre_call_chain_that_runs_again_joins_its_request(registry: Registry) -> None:
    first = registry.open(running(), "acompletion")

    assert registry.open(running(), "acompletion") is first
    assert len(registry) == 1


async def test_two_tasks_are_two_requests_whatever_id_their_client_sends(registry: Registry) -> None:
    async def serve() -> Request:
        return registry.open(running(), "acompletion")

    one, two = await asyncio.gather(serve(), serve())
    assert one is not two


async def test_a_request_ends_once_and_hands_its_lease_to_the_first_who_ends_it(registry: Registry) -> None:
    request = registry.open(running(), "acompletion")
    lease = Lease("api_key:k")
    registry.hold(request, lease, 1)

    endings = (registry.end(request, Ending.COMPLETED), registry.end(request, Ending.TASK_ENDED))

    assert endings == (lease, None)
    assert (request.ending, registry.held("api_key:k"), list(registry.leases())) == (Ending.COMPLETED, 0, [])


async def test_a_task_that_serves_again_after_an_ending_opens_a_new_request(registry: Registry) -> None:
    first = registry.open(running(), "acompletion")
    registry.end(first, Ending.REFUSED)

    assert registry.open(running(), "acompletion") is not first


async def test_the_end_of_its_task_is_told_once_and_forgets_the_request() -> None:
    told: list[Request] = []
    registry = Registry(told.append)

    async def serve() -> Request:
        registry.open(running(), "acompletion")
        return registry.open(running(), "acompletion")

    request = await asyncio.create_task(serve())
    await asyncio.sleep(0)
    assert (told, len(registry)) == ([request], 0)


@pytest.mark.parametrize("how", ["raises", "cancelled"])
async def test_the_end_of_its_task_is_told_however_it_ends(how: str) -> None:
    told: list[Request] = []
    registry = Registry(told.append)

    async def serve() -> None:
        registry.open(running(), "acompletion")
        if how == "raises":
            raise ValueError
        await asyncio.Event().wait()

    task = asyncio.create_task(serve())
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait((task,))
    await asyncio.sleep(0)
    assert len(told) == 1


@pytest.mark.parametrize("order", [(0, 1), (1, 0)], ids=["its own first", "the other first"])
async def test_a_request_lasts_as_long_as_any_of_its_tasks(order: tuple[int, int]) -> None:
    told: list[Request] = []
    registry = Registry(told.append)
    ends = [asyncio.Event(), asyncio.Event()]
    other = asyncio.create_task(ends[1].wait())

    async def serve() -> None:
        registry.open(running(), "aresponses", other)
        registry.open(running(), "aresponses", other)
        await ends[0].wait()

    tasks = [asyncio.create_task(serve()), other]
    await asyncio.sleep(0)
    counts = []
    for number in order:
        ends[number].set()
        await tasks[number]
        await asyncio.sleep(0)
        counts.append(len(told))
    assert counts == [0, 1]


async def test_a_task_that_comes_after_the_end_changes_nothing() -> None:
    told: list[Request] = []
    registry = Registry(told.append)

    async def serve() -> Request:
        return registry.open(running(), "aresponses")

    request = await asyncio.create_task(serve())
    await asyncio.sleep(0)
    late = asyncio.create_task(asyncio.sleep(0))
    registry.last(request, late)
    await late
    await asyncio.sleep(0)
    assert told == [request]


async def test_child_tasks_see_the_request_of_the_task_they_were_born_in(registry: Registry) -> None:
    async def serve() -> tuple[Request, Request | None]:
        request = registry.open(running(), "acompletion")

        async def child() -> Request | None:
            return registry.current()

        return request, await asyncio.create_task(child())

    request, seen = await asyncio.create_task(serve())
    assert seen is request


async def test_a_request_without_a_cap_does_not_inherit_the_request_of_its_context(registry: Registry) -> None:
    """uvicorn starts a pipelined request from inside the task of the one before it."""

    async def serve() -> Request | None:
        registry.open(running(), "acompletion")

        async def pipelined() -> Request | None:
            registry.leave_context()
            return registry.current()

        return await asyncio.get_running_loop().create_task(pipelined())

    assert await contextvars.copy_context().run(asyncio.create_task, serve()) is None
