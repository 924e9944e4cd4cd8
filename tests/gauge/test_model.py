"""Any sequence of what workers with and without the guard do, against a model that only knows who is in flight."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, TypeVar

import fakeredis
import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from litellm_cancel_guard.gauge.local import LocalGauge
from litellm_cancel_guard.lease.lease import Lease
from tests.gauge.stores import GAUGE, LEASE_SECONDS, LIMITER_KEY, Store

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from litellm_cancel_guard.gauge import Gauge

T = TypeVar("T")

NAMES = st.sampled_from("abcdef")
LIMITS = st.integers(0, 5)
WINDOW = 60


class Model(RuleBasedStateMachine):
    """Leases of guarded workers; a subclass adds the others.

    Attributes:
        held: the guard's leases in flight.
        lapsed: those that may not have been dropped yet: they may be counted, but are in nobody's way.
        others: slots of workers without the guard in flight.
        settled: whether a script of the guard ran after the last that others did.
    """

    layout = "none"

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.held: set[str] = set()
        self.lapsed: set[str] = set()
        self.others = 0
        self.settled = True

    @initialize()
    def start(self) -> None:
        server = fakeredis.FakeServer()
        self.store = Store(
            fakeredis.FakeAsyncRedis(server=server), fakeredis.FakeAsyncRedis(server=server, decode_responses=True)
        )
        self.gauge = self.make_gauge()

    def make_gauge(self) -> Gauge:
        self.redis = self.store.gauge(self.layout)
        return self.redis

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(coroutine)

    def ask(self, coroutine: Coroutine[Any, Any, T]) -> T:
        self.settled = True
        return self.run(coroutine)

    @property
    def in_flight(self) -> int:
        return len(self.held) + self.others

    @property
    def may_be_said(self) -> range:
        return range(self.in_flight, self.in_flight + len(self.lapsed) + 1)

    @rule(name=NAMES, limit=LIMITS)
    def acquire(self, name: str, limit: int) -> None:
        expected = name in self.held or self.in_flight < limit
        if expected:
            self.held.add(name)
            self.lapsed.discard(name)
        else:
            self.lapsed.clear()

        found = self.ask(self.gauge.acquire(Lease(GAUGE, name), limit))
        assert found.admitted == expected
        assert found.in_flight in self.may_be_said

    @rule(name=NAMES)
    def release(self, name: str) -> None:
        self.held.discard(name)
        self.lapsed.discard(name)

        assert self.ask(self.gauge.release(Lease(GAUGE, name))) in self.may_be_said

    @rule(names=st.sets(NAMES))
    def renew(self, names: set[str]) -> None:
        lost = self.ask(self.gauge.renew([Lease(GAUGE, name) for name in names])) if names else set()
        if names:
            self.lapsed.clear()

        assert {lease.id for lease in lost} == names - self.held

    @rule()
    def count(self) -> None:
        self.lapsed.clear()
        assert self.ask(self.gauge.count(GAUGE)) == self.in_flight

    def teardown(self) -> None:
        if hasattr(self, "store"):
            for name in sorted(self.held):
                self.run(self.gauge.release(Lease(GAUGE, name)))
            assert self.run(self.gauge.count(GAUGE)) == self.others
            self.run(self.store.client.aclose())
            self.run(self.store.witness.aclose())
        self.loop.close()


class LocalModel(Model):
    def make_gauge(self) -> Gauge:
        return LocalGauge()


class RedisModel(Model):
    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def lapse(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(self.held)))
        self.run(self.store.age(self.layout, name, LEASE_SECONDS))
        self.held.discard(name)
        self.lapsed.add(name)
        self.settled = False

    @invariant()
    def redis_agrees_after_each_script(self) -> None:
        if self.settled:
            assert self.run(self.store.in_flight(self.layout)) in self.may_be_said

    @invariant()
    def those_who_look_count_none_that_has_lapsed(self) -> None:
        listed = {name for name, _ in self.run(self.redis.slots(GAUGE))}
        assert self.held <= listed
        assert not listed & self.lapsed

    @invariant()
    def every_key_expires(self) -> None:
        assert self.run(self.store.eternal_keys()) == []


class SlotsModel(RedisModel):
    """LiteLLM 1.94 and newer: others have slots in the same sorted set."""

    layout = "slots"

    @rule()
    def other_begins(self) -> None:
        async def acquire() -> None:
            now, _ = await self.store.witness.time()
            await self.store.witness.zadd(LIMITER_KEY, {f"other-{self.others}": now})
            await self.store.witness.expire(LIMITER_KEY, 3600)

        self.run(acquire())
        self.others += 1

    @precondition(lambda self: self.others)
    @rule()
    def other_ends(self) -> None:
        self.others -= 1
        assert self.run(self.store.witness.zrem(LIMITER_KEY, f"other-{self.others}")) == 1


class CountedModel(RedisModel):
    """LiteLLM 1.80 to 1.93: others write to the number, by the commands of its scripts."""

    layout = "counted"

    @invariant()
    def the_book_is_true_after_each_script(self) -> None:
        if self.settled:
            self.run(self.store.assert_book_is_true())

    def other(self, *commands: tuple[object, ...]) -> None:
        async def write() -> None:
            for command in commands:
                await self.store.witness.execute_command(*command)
            if await self.store.witness.ttl(LIMITER_KEY) == -1:
                await self.store.witness.expire(LIMITER_KEY, WINDOW)

        self.run(write())
        self.settled = False

    @rule()
    def other_begins(self) -> None:
        self.others += 1
        self.other(("INCR", LIMITER_KEY))

    @precondition(lambda self: self.others)
    @rule()
    def other_ends(self) -> None:
        self.others -= 1
        self.other(("INCRBYFLOAT", LIMITER_KEY, -1))

    @precondition(lambda self: not self.others)
    @rule(times=st.integers(1, 9))
    def decrements_come_late(self, times: int) -> None:
        """As long as nobody else is in flight, none of them is anybody's."""
        self.other(*[("INCRBYFLOAT", LIMITER_KEY, -1)] * times)
        self.count()

    @rule()
    def other_begins_a_window(self) -> None:
        """LiteLLM forgets what began in the window before; the number is 1, whatever the guard holds."""
        self.others = 1
        self.pass_time(expires=WINDOW * 1000)
        self.run(self.store.begin_window(LIMITER_KEY))
        self.settled = False

    @rule()
    def nothing_rises_for_a_window(self) -> None:
        self.count()
        self.pass_time(rose=WINDOW)
        self.others = 0
        self.count()

    @rule()
    def the_number_is_deleted(self) -> None:
        self.count()
        self.run(self.store.witness.delete(LIMITER_KEY))
        self.others = 0
        self.count()

    def pass_time(self, **fields: float) -> None:
        if self.run(self.store.book()):
            self.run(self.store.age_book(**fields))


SETTINGS = settings(max_examples=60, stateful_step_count=40)

TestLocalModel = LocalModel.TestCase
TestLocalModel.settings = SETTINGS
TestSlotsModel = SlotsModel.TestCase
TestSlotsModel.settings = SETTINGS
TestCountedModel = CountedModel.TestCase
TestCountedModel.settings = SETTINGS
