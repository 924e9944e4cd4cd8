"""Who is next where many wait: first come first served within a class, and the classes in turn, however many."""

from __future__ import annotations

import asyncio
import random
from collections import defaultdict
from typing import TYPE_CHECKING

import pytest

from litellm_cancel_guard.gauge import line
from litellm_cancel_guard.lease.lease import REST, UNNAMED, Lease, Turn, class_of
from tests.gauge.stores import GAUGE, Store
from tests.gauge.test_line import LINE, RING, fill, park, served, waiter

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from litellm_cancel_guard.gauge import Gauge

MOST = 3
ONE, TWO, THREE, FOUR, FIVE = (f"{n:016x}" for n in range(1, 6))


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """No more than three classes are kept apart."""
    monkeypatch.setattr(line, "MOST_CLASSES", MOST)


@pytest.fixture
def long(monkeypatch: pytest.MonkeyPatch) -> None:
    """Places last for longer than it takes to fill a long line."""
    monkeypatch.setattr(line, "PLACE_SECONDS", 600.0)


async def at_once(*asked: Awaitable[object]) -> None:
    for first in range(0, len(asked), 100):
        await asyncio.gather(*asked[first : first + 100])


async def test_a_round_goes_to_each_class_once_and_one_request_waits_for_no_more(gauge: Gauge) -> None:
    [holder] = await fill(gauge, "a")
    fan_out = await park(gauge, *(waiter(f"b{n}", ONE, most=99) for n in range(50)))
    others = await park(gauge, *(waiter(f"c{n}", f"{n + 2:016x}", most=99) for n in range(5)))
    await gauge.release(holder)
    order = await served(gauge, [*fan_out, *others])

    assert sorted(order[:6]) == ["b0", "c0", "c1", "c2", "c3", "c4"]
    assert order[6:] == [f"b{n}" for n in range(1, 50)]


async def test_a_class_of_several_turns_has_all_but_one_before_the_others_in_each_round(gauge: Gauge) -> None:
    [holder] = await fill(gauge, "a")
    waiting = await park(gauge, *(waiter(f"{name}{n}", name * 16, most=99) for n in range(3) for name in "bcd"))
    waiting += await park(gauge, *(waiter(f"m{n}", class_of(7, 4), most=99) for n in range(7)))
    await gauge.release(holder)

    order = "m0 m1 m2 b0 c0 d0 m3 m4 m5 m6 b1 c1 d1 b2 c2 d2"
    assert await served(gauge, waiting) == order.split()


async def test_who_asks_for_one_after_the_other_has_no_more_turns_in_a_round_than_his_class(gauge: Gauge) -> None:
    """A main session does, beside its subagents: each of its requests finds none of its own in line."""
    [holding] = await fill(gauge, "a")
    waiting = await park(gauge, *(waiter(f"{name}{n}", name * 16) for n in range(2) for name in "bcd"))
    order = []
    for n in range(10):
        [main] = await park(gauge, waiter(f"m{n}", class_of(7, 3)))
        while True:
            await gauge.release(holding)
            [handed] = await gauge.look(GAUGE, [lease.id for lease in (main, *waiting)])
            [holding] = [lease for lease in (main, *waiting) if lease.id == handed]
            assert (await gauge.acquire(holding, 1)).admitted
            order.append(handed.partition(".")[2])
            if holding is main:
                break
            waiting.remove(holding)
    await gauge.release(holding)

    assert " ".join(order) == "m0 m1 b0 c0 d0 m2 m3 m4 b1 c1 d1 m5 m6 m7 m8 m9"


async def test_those_of_several_turns_go_ahead_in_the_order_of_their_own(gauge: Gauge) -> None:
    [holder] = await fill(gauge, "a")
    waiting = await park(gauge, waiter("b", ONE), *(waiter(f"m{n}", class_of(9, 2)) for n in range(3)))
    waiting += await park(gauge, *(waiter(f"k{n}", class_of(7, 3)) for n in range(4)))
    await gauge.release(holder)

    assert await served(gauge, waiting) == ["m0", "k0", "k1", "b", "m1", "m2", "k2", "k3"]


async def test_a_class_of_several_turns_whose_last_has_left_is_not_next(gauge: Gauge) -> None:
    [holder] = await fill(gauge, "a")
    waiting = await park(gauge, waiter("b", ONE), waiter("c", TWO))
    [left] = await park(gauge, waiter("m", class_of(9, 4)))
    await gauge.release(left)
    await gauge.release(holder)

    assert await served(gauge, waiting) == ["b", "c"]


async def test_what_is_kept_of_turns_is_gone_with_the_last_who_waits(store: Store, layout: str) -> None:
    gauge = store.gauge(layout)
    [holder] = await fill(gauge, "a")
    [left] = await park(gauge, waiter("m", class_of(9, 4)))
    await gauge.release(left)
    assert await store.witness.keys("*cancel_guard:ring") == []
    await gauge.release(holder)
    assert await store.witness.keys("*") == []


async def test_an_agent_with_a_new_name_for_each_request_is_one_class_once_as_many_are_kept_apart(
    gauge: Gauge, few: None
) -> None:
    [holder] = await fill(gauge, "a")
    waiting = await park(gauge, waiter("b", ONE), waiter("c", TWO), waiter("d", THREE))
    waiting += await park(gauge, waiter("e", FOUR), waiter("f", FIVE), waiter("g", FOUR), waiter("h", TWO))
    await gauge.release(holder)

    assert await served(gauge, waiting) == ["b", "c", "d", "e", "h", "f", "g"]


async def test_those_who_name_nobody_have_their_turn_beside_those_with_too_many_names(gauge: Gauge, few: None) -> None:
    [holder] = await fill(gauge, "a")
    waiting = await park(
        gauge, *(waiter(name, of) for name, of in zip("bcdef", [ONE, TWO, UNNAMED, FOUR, FIVE], strict=True))
    )
    waiting += await park(gauge, waiter("g", UNNAMED))
    await gauge.release(holder)

    assert await served(gauge, waiting) == ["b", "c", "d", "e", "g", "f"]


async def test_when_a_class_has_gone_there_is_room_for_another(gauge: Gauge, few: None) -> None:
    [holder] = await fill(gauge, "a")
    first, *waiting = await park(gauge, waiter("b", ONE), waiter("c", TWO), waiter("d", THREE))
    waiting += await park(gauge, waiter("e", FOUR), waiter("f", FIVE))
    await gauge.release(first)
    waiting += await park(gauge, waiter("g", FIVE), waiter("h", FIVE))
    await gauge.release(holder)

    # Those of the rest are behind each other; of the fourth class, which is kept apart by now, one has its turn.
    assert await served(gauge, waiting) == ["c", "d", "e", "f", "g", "h"]


async def test_who_waits_by_a_guard_that_keeps_all_classes_apart_has_his_turn(
    gauge: Gauge, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While an upgrade rolls out: the scripts of the guard before have no bound."""
    [holder] = await fill(gauge, "a")
    monkeypatch.setattr(line, "MOST_CLASSES", 10**6)
    waiting = await park(gauge, *(waiter(name, of) for name, of in zip("bcd", [ONE, TWO, THREE], strict=True)))
    monkeypatch.setattr(line, "MOST_CLASSES", 1)
    waiting += await park(gauge, *(waiter(name, of) for name, of in zip("efg", [FOUR, TWO, FIVE], strict=True)))
    monkeypatch.setattr(line, "MOST_CLASSES", 10**6)
    waiting += await park(gauge, waiter("h", FIVE))
    await gauge.release(holder)

    assert await served(gauge, waiting) == ["b", "c", "d", "e", "h", "f", "g"]


async def test_who_is_among_the_rest_keeps_his_place_and_leaves_it(gauge: Gauge, few: None) -> None:
    [holder] = await fill(gauge, "a")
    waiting = await park(
        gauge, *(waiter(name, of) for name, of in zip("bcdef", [ONE, TWO, THREE, FOUR, FIVE], strict=True))
    )
    assert await park(gauge, *waiting) == waiting
    assert [lease.turn for lease in await park(gauge, *waiting)] == [lease.turn for lease in waiting]
    await gauge.release(waiting.pop(3))
    await gauge.release(holder)

    assert await served(gauge, waiting) == ["b", "c", "d", "f"]


async def test_a_thousand_names_in_a_second_are_no_more_than_are_kept_apart(
    real: Store, layout: str, long: None
) -> None:
    gauge = real.gauge(layout)
    [holder] = await fill(gauge, "a")
    waiting = [waiter(f"b{n}", f"{n + 1:016x}", most=1000) for n in range(1000)]
    await at_once(*(gauge.acquire(lease, 1) for lease in waiting))
    assert await real.witness.zcard(RING) == line.MOST_CLASSES + 1
    assert await real.witness.zscore(RING, REST)
    await at_once(*(gauge.release(lease) for lease in [*waiting, holder]))

    assert await real.witness.keys("*") == []


async def test_who_comes_late_goes_back_to_his_place_in_a_class_that_is_kept_apart_by_now(
    store: Store, layout: str, few: None
) -> None:
    gauge = store.gauge(layout)
    [holder] = await fill(gauge, "a")
    waiting = await park(gauge, *(waiter(name, of) for name, of in zip("bcde", [ONE, TWO, THREE, FOUR], strict=True)))
    for lease in waiting[:3]:
        await gauge.release(lease)
    late = waiting[3]
    await gauge.release(holder)
    await store.age(layout, late.id, 3)
    behind = Lease(GAUGE, waiter("f").id, Turn(9, FOUR))
    assert (await gauge.acquire(Lease(GAUGE, "without a line"), 1)).admitted
    behind = behind.at((await gauge.acquire(behind, 1)).place)
    assert (await gauge.acquire(late, 1)).place == late.turn.place  # type: ignore[union-attr]
    await gauge.release(Lease(GAUGE, "without a line"))

    assert await served(gauge, [late, behind]) == ["e", "f"]


def overtaken(came: list[tuple[str, str]], order: list[str]) -> None:
    """Of *came*, names and classes in the order they came in, each is served in its class's order, and in its round."""
    of, members = dict(came), defaultdict(list)
    for name, cls in came:
        members[cls].append(name)
    for cls, names in members.items():
        assert [name for name in order if of[name] == cls] == names
    for name, cls in came:
        before = [of[other] for other in order[: order.index(name)]]
        rounds = members[cls].index(name) + 1
        assert all(before.count(other) <= rounds for other in members if other != cls), (name, order)


@pytest.mark.parametrize("seed", range(8))
async def test_nobody_is_overtaken_by_more_than_one_of_each_class_for_each_of_his_own(gauge: Gauge, seed: int) -> None:
    chance = random.Random(seed)
    came = [(f"b{n}", f"{chance.choice([1, 1, 1, 2, 3, 4]):016x}") for n in range(30)]
    [holder] = await fill(gauge, "a")
    waiting = await park(gauge, *(waiter(name, of, most=99) for name, of in came))
    await gauge.release(holder)

    overtaken(came, await served(gauge, waiting))


@pytest.mark.more
async def test_a_hand_over_costs_no_more_where_ten_thousand_of_as_many_classes_as_may_wait(
    real: Store, long: None
) -> None:
    took: dict[int, int] = {}
    for count in (100, 10_000):
        await real.witness.flushall()
        gauge = real.gauge()
        holders = await fill(gauge, *(f"a{n}" for n in range(20)), limit=20)
        await at_once(*(gauge.acquire(waiter(f"b{n}", f"{n:016x}", most=20_000), 20) for n in range(count)))
        await real.witness.config_resetstat()
        for holder in holders:
            await gauge.release(holder)
        took[count] = (await real.witness.info("commandstats"))["cmdstat_evalsha"]["usec"]
    assert await real.witness.zcard(LINE) == 10_000 - 20
    await real.witness.flushall()

    # log 10 000 is twice log 100.
    assert took[10_000] < 4 * took[100], took
