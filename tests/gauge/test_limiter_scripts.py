"""The guard and a worker without it on one Redis, with the scripts of the LiteLLM that is installed."""

from __future__ import annotations

import ast
import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, Any

import fakeredis
import pytest

from litellm_cancel_guard.lease.lease import Admission, Lease
from tests.gauge.stores import GAUGE, LEASE_SECONDS, LIMITER_KEY, WINDOW_KEY

if TYPE_CHECKING:
    from tests.gauge.stores import Store

A, B, C = (Lease(GAUGE, name) for name in "abc")
HORIZON, WINDOW = 3600, 60


def limiter_scripts() -> dict[str, str]:
    """The Lua texts of the limiter, read from its source: importing LiteLLM takes seconds and warns."""
    package = importlib.util.find_spec("litellm")
    if package is None or package.origin is None:
        return {}
    source = Path(package.origin).parent / "proxy" / "hooks" / "parallel_request_limiter_v3.py"
    assigned = [node for node in ast.parse(source.read_text()).body if isinstance(node, (ast.Assign, ast.AnnAssign))]
    targets = [(node.targets[0] if isinstance(node, ast.Assign) else node.target, node.value) for node in assigned]
    return {
        target.id: value.value
        for target, value in targets
        if isinstance(target, ast.Name) and isinstance(value, ast.Constant) and isinstance(value.value, str)
    }


SCRIPTS = limiter_scripts()
keeps_slots = pytest.mark.skipif("PARALLEL_ACQUIRE_SCRIPT" not in SCRIPTS, reason="needs LiteLLM 1.94 or newer")
counts = pytest.mark.skipif(
    "PARALLEL_ACQUIRE_SCRIPT" in SCRIPTS or "BATCH_RATE_LIMITER_SCRIPT" not in SCRIPTS,
    reason="needs LiteLLM 1.93 or older",
)


class Unguarded:
    """The Redis side of LiteLLM in a worker without the guard, for GAUGE."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.now = 1700000000

    async def _run(self, script: str, keys: list[str], *args: object) -> Any:
        return await self._store.witness.eval(SCRIPTS[script], len(keys), *keys, *args)

    async def acquire(self, name: str, limit: int) -> list[int]:
        found: list[int] = await self._run("PARALLEL_ACQUIRE_SCRIPT", [LIMITER_KEY], limit, HORIZON, name)
        return found

    async def release(self, name: str) -> int:
        [left] = await self._run("PARALLEL_RELEASE_SCRIPT", [LIMITER_KEY], name)
        return int(left)

    async def count(self) -> int:
        [left] = await self._run("PARALLEL_COUNT_SCRIPT", [LIMITER_KEY], HORIZON)
        return int(left)

    async def increment(self) -> int:
        _, count = await self._run("BATCH_RATE_LIMITER_SCRIPT", [WINDOW_KEY, LIMITER_KEY], self.now, WINDOW)
        if count == 1 and isinstance(self._store.client, fakeredis.FakeAsyncRedis):
            await self._store.expire_together(WINDOW_KEY, LIMITER_KEY)  # its clock runs on within a script
        return int(count)

    async def window_ends(self) -> None:
        """Let a window pass, for the limiter and for what the guard wrote in it."""
        self.now += WINDOW
        await self._store.age_book(expires=WINDOW * 1000)

    async def decrement(self) -> float:
        [left] = await self._run("TOKEN_INCREMENT_SCRIPT", [LIMITER_KEY], -1, WINDOW)
        return float(left)


@pytest.fixture
def unguarded(store: Store) -> Unguarded:
    return Unguarded(store)


@keeps_slots
async def test_the_guard_and_the_limiter_share_one_limit(store: Store, unguarded: Unguarded) -> None:
    gauge = store.gauge()
    assert await gauge.acquire(A, 2) == Admission(True, 1)
    assert await unguarded.acquire("theirs", 2) == [0, 2]
    assert await gauge.acquire(B, 2) == Admission(False, 2)
    assert await unguarded.acquire("refused", 2) == [1, 1, 2, 2]

    assert await unguarded.release("theirs") == 1
    assert await gauge.acquire(B, 2) == Admission(True, 2)
    assert (await unguarded.count(), await gauge.count(GAUGE)) == (2, 2)


@keeps_slots
async def test_the_limiter_prunes_a_slot_of_the_guard_once_its_lease_is_over(
    store: Store, unguarded: Unguarded
) -> None:
    gauge = store.gauge()
    for lease in (A, B):
        await gauge.acquire(lease, 2)
    await store.age("slots", "a", LEASE_SECONDS - 2)
    assert await unguarded.count() == 2
    await store.age("slots", "a", 3)  # the limiter's clock has whole seconds

    assert await unguarded.acquire("theirs", 2) == [0, 2]
    assert await gauge.renew([A, B]) == {A}


@keeps_slots
async def test_a_slot_that_the_limiter_took_is_renewed_and_released_by_its_id(
    store: Store, unguarded: Unguarded
) -> None:
    gauge = store.gauge()
    await unguarded.acquire("a", 1)

    assert await gauge.renew([A]) == set()
    assert await gauge.slots(GAUGE) != []
    assert await gauge.release(A) == 0
    assert await unguarded.count() == 0


@keeps_slots
async def test_releasing_on_both_sides_frees_one_slot(store: Store, unguarded: Unguarded) -> None:
    gauge = store.gauge()
    for lease in (A, B):
        await gauge.acquire(lease, 2)

    assert await gauge.release(A) == 1
    assert await unguarded.release("a") == 1


@counts
async def test_both_see_each_others_slots_in_the_number(store: Store, unguarded: Unguarded) -> None:
    gauge = store.gauge("counted")
    assert await unguarded.increment() == 1
    assert await gauge.acquire(A, 2) == Admission(True, 2)
    assert await unguarded.increment() == 3  # over its limit: LiteLLM counts first, refuses, and takes it back
    assert await gauge.acquire(B, 2) == Admission(False, 3)
    assert await unguarded.decrement() == 2
    assert await unguarded.decrement() == 1

    assert await gauge.acquire(B, 2) == Admission(True, 2)
    assert await unguarded.increment() == 3


@counts
async def test_the_limiters_new_window_wipes_no_slot_of_the_guards(store: Store, unguarded: Unguarded) -> None:
    gauge = store.gauge("counted")
    await unguarded.increment()
    for lease in (A, B):
        await gauge.acquire(lease, 5)
    await unguarded.decrement()
    await unguarded.window_ends()
    assert await unguarded.increment() == 1

    assert await gauge.acquire(C, 5) == Admission(True, 4)
    assert await unguarded.decrement() == 3
    for lease in (A, B, C):
        await gauge.release(lease)
    assert await store.witness.keys("*") == [WINDOW_KEY]


@counts
async def test_blind_decrements_of_the_limiter_free_no_slot_and_leave_nothing_at_rest(
    store: Store, unguarded: Unguarded
) -> None:
    gauge = store.gauge("counted")
    await gauge.acquire(A, 1)
    for _ in range(3):
        await unguarded.decrement()
    assert await gauge.acquire(B, 1) == Admission(False, 1)
    await gauge.release(A)
    assert await unguarded.decrement() == -1

    assert await gauge.acquire(B, 1) == Admission(True, 1)
    assert await store.in_flight("counted") == 1
