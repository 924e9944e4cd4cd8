"""Not every server has the Lua of a Redis of 64 bits: Dragonfly has a later one, and a C long may have 32 bits."""

from __future__ import annotations

import os
import subprocess
import sys
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import fakeredis
import pytest
from fakeredis.commands_mixins import scripting_mixin

from litellm_cancel_guard.lease.lease import Admission, FollowUp, Lease, Turn
from tests.gauge.stores import GAUGE, LAYOUTS, Store

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

# None that ends with a whole microsecond.
LEASE_SECONDS = 100 / 3

# What '%d' makes of a number that a C long does not hold there (Lua 5.1, lstrlib.c `str_format`; its size, luaconf.h).
OF_32_BITS = rb"""
local format = string.format
string.format = function(pattern, ...)
  local given, at = { ... }, 0
  for kind in string.gmatch(pattern, '%%[%d.]*(%a)') do
    at = at + 1
    if kind == 'd' and math.abs(tonumber(given[at])) >= 2 ^ 31 then given[at] = -2 ^ 31 end
  end
  return format(pattern, (table.unpack or unpack)(given))
end
"""


@pytest.fixture
async def store(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Store]:
    lua: Any = scripting_mixin.LUA_MODULE

    def runtime(**settings: Any) -> Any:
        made = lua.LuaRuntime(**settings)
        made.execute(OF_32_BITS)
        return made

    monkeypatch.setattr(scripting_mixin, "LUA_MODULE", SimpleNamespace(**{**vars(lua), "LuaRuntime": runtime}))
    server = fakeredis.FakeServer()
    store = Store(
        fakeredis.FakeAsyncRedis(server=server), fakeredis.FakeAsyncRedis(server=server, decode_responses=True)
    )
    yield store
    await store.client.aclose()
    await store.witness.aclose()


async def test_slots_are_taken_renewed_and_given_back_as_on_any_redis(store: Store, layout: str) -> None:
    gauge = store.gauge(layout, lease_seconds=LEASE_SECONDS)
    a, b, c = (Lease(GAUGE, name) for name in "abc")
    assert await gauge.acquire(a, 2) == Admission(True, 1)
    assert await gauge.acquire(b, 2, FollowUp("return 7", (), ())) == Admission(True, 2, 7)
    assert await gauge.acquire(c, 2) == Admission(False, 2)

    longer = store.gauge(layout, lease_seconds=LEASE_SECONDS + 10)
    assert await longer.renew([a, b, c]) == {c}
    assert dict(await gauge.slots(GAUGE)) == dict.fromkeys("ab", pytest.approx(LEASE_SECONDS + 10, abs=1))
    assert await store.witness.pttl(LAYOUTS[layout].keys_of(GAUGE)[0]) > (LEASE_SECONDS + 10) * 1000
    if layout == "counted":
        await store.assert_book_is_true()

    assert [await gauge.release(a), await gauge.release(b)] == [1, 0]
    assert await store.witness.keys("*") == []


async def test_one_that_waits_is_handed_what_is_given_back(store: Store, layout: str) -> None:
    gauge = store.gauge(layout, lease_seconds=LEASE_SECONDS)
    a, b = (Lease(GAUGE, f"worker.{name}", Turn(9)) for name in "ab")
    assert (await gauge.acquire(a, 1)).admitted
    waits = await gauge.acquire(b, 1)
    assert (waits.admitted, waits.waiting) == (False, 1)

    assert await gauge.release(a) == 1
    assert await gauge.acquire(b.at(waits.place), 1) == Admission(True, 1)


@pytest.mark.more
def test_all_of_that_holds_in_a_later_lua() -> None:
    """In a process of its own: fakeredis has one for all of its process."""
    if scripting_mixin.LUA_VERSION == "5.4":
        return
    played = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", __file__],
        env=os.environ | {"FAKEREDIS_LUA_VERSION": "5.4"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert played.returncode == 0, played.stdout
