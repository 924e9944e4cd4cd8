"""Workers with and without the guard on one Redis, and a guard that comes while requests are in flight."""

from __future__ import annotations

from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml

import litellm_cancel_guard
from tests.exits.endings import ENDINGS
from tests.harness.clients import Admission
from tests.harness.routes import ROUTES
from tests.harness.witness import gauge, lasting, settled, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.harness.clients import Caller
    from tests.harness.keys import Key
    from tests.harness.redis_server import RedisServer

pytestmark = pytest.mark.more

CHAT = ROUTES["chat"]
CAP = 4


@pytest.fixture
def guarded(shared: Callable[..., Caller]) -> Caller:
    return shared(guarded=True)


@pytest.fixture
def unguarded(shared: Callable[..., Caller]) -> Caller:
    return shared(guarded=False)


async def both_are_right(guarded: Caller, unguarded: Caller, key: Key, redis_server: RedisServer) -> None:
    for caller in (guarded, unguarded):
        left = await settled(lambda: gauge(redis_server.client, key), 0)
        assert (left, await caller.admitted_at_once(key, cap=CAP)) == (0, Admission(CAP, 2))
    assert await settled(lambda: gauge(redis_server.client, key), 0) == 0
    assert lasting(redis_server.client, key) == []


@pytest.mark.parametrize("first_to_end", ["guarded", "unguarded"])
async def test_each_counts_the_slots_of_the_other(
    guarded: Caller, unguarded: Caller, key: Key, redis_server: RedisServer, first_to_end: str
) -> None:
    callers = {"guarded": guarded, "unguarded": unguarded}
    # Up to 1.93 the first request of a window that an unguarded worker sees sets its number to 1, whatever is held.
    assert (await unguarded.plain(CHAT, key)).status == 200
    async with AsyncExitStack() as last:
        async with callers[first_to_end].holding(key, 2):
            other = next(caller for name, caller in callers.items() if name != first_to_end)
            await last.enter_async_context(other.holding(key, 2))
            assert gauge(redis_server.client, key) == 4
            assert [(await caller.plain(CHAT, key)).status for caller in callers.values()] == [429, 429]
        assert await settled(lambda: gauge(redis_server.client, key), 2) == 2
        # Not the unguarded one: from 1.94 it refuses on its own copy of the count until it gives back a slot itself.
        assert (await guarded.plain(CHAT, key)).status == 200
        assert await settled(lambda: gauge(redis_server.client, key), 2) == 2
    await both_are_right(guarded, unguarded, key, redis_server)


async def test_what_ends_on_the_guarded_one_takes_nothing_of_the_other(
    guarded: Caller, unguarded: Caller, key: Key, redis_server: RedisServer
) -> None:
    async with unguarded.holding(key, 2):
        for name in ("complete", "plain", "cancel_mid", "http500", "http429", "midreset"):
            for route in ("chat", "messages", "responses", "pass_custom"):
                await ENDINGS[name](guarded, ROUTES[route], key)
            assert await settled(lambda: gauge(redis_server.client, key), 2) == 2, name
    await both_are_right(guarded, unguarded, key, redis_server)


async def test_a_guard_that_comes_later_disturbs_none_in_flight(
    start: Callable[..., Caller], key: Key, redis_server: RedisServer, tmp_path: Path
) -> None:
    """Requests admitted before it end as LiteLLM ends them; those after it are the guard's.

    It comes with one request. Of several whose hooks run at that very moment, up to 1.93, LiteLLM may count one that
    it no longer uncounts: that slot comes back when the window ends.
    """
    (tmp_path / "litellm_cancel_guard").symlink_to(Path(litellm_cancel_guard.__file__).parent)
    beside = ("switch.py",)
    caller = start(guarded=False, callbacks=("switch.callback",), beside=beside, libraries=str(tmp_path))
    async with caller.holding(key, 2):
        await caller.ordered("/_enable")
        assert (await caller.plain(CHAT, key)).status == 200
        async with caller.holding(key, 2):
            assert gauge(redis_server.client, key) == 4
            assert (await caller.plain(CHAT, key)).status == 429
        for name in ("complete", "cancel_mid", "http500"):
            await ENDINGS[name](caller, CHAT, key)
        assert await settled(lambda: gauge(redis_server.client, key), 2) == 2

    assert await settled(lambda: gauge(redis_server.client, key), 0) == 0
    assert await caller.admitted_at_once(key, cap=CAP) == Admission(CAP, 2)


async def test_a_window_that_an_unguarded_worker_begins_is_put_right_with_the_next_guarded_request(
    guarded: Caller, unguarded: Caller, key: Key, redis_server: RedisServer
) -> None:
    """Up to 1.93 it sets the number to 1 whatever is held; a heartbeat would put it right too, within 10 s."""
    async with guarded.holding(key, 3):
        async with unguarded.holding(key, 1):
            assert gauge(redis_server.client, key) == (4 if guarded.proxy.setup.version.at_least(1, 94) else 1)
            assert (await guarded.plain(CHAT, key)).status == 429
            assert gauge(redis_server.client, key) == 4
            assert (await unguarded.plain(CHAT, key)).status == 429
        assert await settled(lambda: gauge(redis_server.client, key), 3) == 3
    await both_are_right(guarded, unguarded, key, redis_server)


async def test_switching_it_off_and_on_disturbs_none_in_flight(
    start: Callable[..., Caller], key: Key, redis_server: RedisServer
) -> None:
    """What was admitted while it stood aside is LiteLLM's to uncount, also when it ends after the guard is back."""
    caller = start(env=(("LITELLM_LOG", "INFO"),))
    config = caller.proxy.log.parent / "config.yaml"
    original = yaml.safe_load(config.read_text())

    async def switch(*, on: bool, times: int) -> None:
        config.write_text(yaml.safe_dump({**original, "callback_settings": {"cancel_guard": {"enabled": on}}}))
        said = "in force now" if on else "the guard stands aside"
        # It looks every 2 s; the rest is for a busy machine.
        await wait_until(lambda: caller.proxy.text().count(said) >= times, said, within=20)

    assert (await caller.plain(CHAT, key)).status == 200
    for times in (1, 2):
        async with caller.holding(key, 1):
            await switch(on=False, times=times)
            async with caller.holding(key, 2):
                await switch(on=True, times=times)
                assert (await caller.plain(CHAT, key)).status == 200
                assert gauge(redis_server.client, key) == 3
                async with caller.holding(key, 1):
                    assert (await caller.plain(CHAT, key)).status == 429
            assert await settled(lambda: gauge(redis_server.client, key), 1) == 1
        assert await settled(lambda: gauge(redis_server.client, key), 0) == 0
        assert await caller.admitted_at_once(key, cap=CAP) == Admission(CAP, 2)
