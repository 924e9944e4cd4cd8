"""Which slot an operator means: the one of that id, or the only one that it can ever be."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from litellm_cancel_guard.gauge.survey import Count, Place, Slot
from litellm_cancel_guard.host.killing import Killing
from litellm_cancel_guard.lease.lease import Ending, Lease
from litellm_cancel_guard.ledger.registry import Registry
from litellm_cancel_guard.operator import orders
from litellm_cancel_guard.operator.commands.kill import _gone
from litellm_cancel_guard.operator.overview import AmbiguousError, NotHeldError, chosen

if TYPE_CHECKING:
    from litellm_cancel_guard.ledger.registry import Request

WORKER = "0123456789ab"
OURS, NEXT, LITELLMS = f"{WORKER}.19a00000001.1.acompletion", f"{WORKER}.19a00000002.2.acompletion", "9f7c0d2e"
PLACE = Place("api_key:x", "", counting=False)


class Held:
    """A survey of one key that holds those slots."""

    def __init__(self, *slots: str) -> None:
        self.looked = 0
        self._slots = [Slot(slot, None) for slot in slots]

    async def places(self) -> list[Place]:
        self.looked += 1
        return [PLACE]

    async def count(self, place: Place) -> Count:
        return Count(place, self._slots)

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(name)


@pytest.mark.parametrize(
    ("named", "held"),
    [
        (OURS, OURS),
        (OURS[:-5], OURS),
        (f"{WORKER}.19a00000001", OURS),
        (LITELLMS, LITELLMS),
        (LITELLMS[:1], LITELLMS),
    ],
)
async def test_a_slot_is_meant_by_its_id_or_by_how_that_begins(named: str, held: str) -> None:
    _, found = await orders.find(Held(OURS, NEXT, LITELLMS), named)
    assert found.id == held


@pytest.mark.parametrize("named", ["", "0", "0123", WORKER, f"{WORKER}."])
async def test_what_all_slots_of_a_worker_begin_with_is_none_of_them_although_it_holds_only_one(named: str) -> None:
    """An empty variable of a script, or the worker's name: whichever request runs now would be ended."""
    with pytest.raises(AmbiguousError, match="give more of it"):
        await orders.find(Held(OURS), named)
    with pytest.raises(AmbiguousError, match="give more of it"):
        chosen(Count(PLACE, [Slot(OURS, None)]), named)


async def test_an_id_that_is_another_ones_beginning_is_its_own() -> None:
    _, found = await orders.find(Held("1", "12"), "1")
    assert found.id == "1"
    with pytest.raises(AmbiguousError):
        await orders.find(Held("12"), "")


async def test_what_is_not_there_is_said_so_and_all_are_all() -> None:
    with pytest.raises(NotHeldError, match="No such slot"):
        await orders.find(Held(), "")
    with pytest.raises(NotHeldError, match="No such slot"):
        chosen(Count(PLACE), None)
    assert chosen(Count(PLACE, [Slot(OURS, None), Slot(NEXT, None)]), None) == [OURS, NEXT]


async def test_who_waits_for_the_end_of_a_request_does_not_look_through_all_keys_again() -> None:
    held = Held(NEXT)
    assert await _gone(held, PLACE, OURS, 0.0)  # type: ignore[arg-type]
    assert not await _gone(held, PLACE, NEXT, 0.0)  # type: ignore[arg-type]
    assert held.looked == 0


async def test_what_works_on_behind_its_answer_is_not_said_to_be_ended() -> None:
    """Of an answer that is polled, only the stream can be ended, and that is not there yet."""
    registry, lease = Registry(), Lease.new("api_key:x", "aresponses")
    killing, working = Killing(registry, lambda *_: None), asyncio.Event()

    async def serve() -> tuple[Request, asyncio.Task[bool]]:
        request = registry.open(asyncio.current_task(), "aresponses")  # type: ignore[arg-type]
        registry.hold(request, lease, 4)
        goes_on = asyncio.create_task(working.wait())
        registry.last(request, goes_on)
        return request, goes_on

    request, goes_on = await asyncio.create_task(serve())
    await asyncio.sleep(0)
    assert killing.kill(lease.id, "the test") is None
    with pytest.raises(orders.NotKillableError, match="polls"):
        await orders.kill(Held(lease.id), lease.id, "the test", killing.kill)
    working.set()
    await goes_on
    registry.end(request, Ending.COMPLETED)
    assert request.ending is Ending.COMPLETED, "it was ended by nobody"
    assert killing.kill(lease.id, "the test") is False
