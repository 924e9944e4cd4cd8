"""The releases that this worker has under way: kept until Redis confirms them."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from litellm_cancel_guard.aio.completion import Mark, begin
from litellm_cancel_guard.gauge import GaugeUnavailableError
from litellm_cancel_guard.lease.keyname import shown, without_key
from litellm_cancel_guard.ledger.outage import insisted
from litellm_cancel_guard.redaction.records import log

if TYPE_CHECKING:
    from litellm_cancel_guard.gauge import Gauge
    from litellm_cancel_guard.lease.lease import Lease
    from litellm_cancel_guard.ledger.outage import Outage
    from litellm_cancel_guard.ledger.registry import Registry
    from litellm_cancel_guard.settings import Settings


# How long a refused request waits for one to end here before it looks again. In steps, each a turn of the event loop
# at least: where the loop stood still, 50 ms would be over before the task that it waits for could run.
_SECOND_LOOK_STEPS, _STEP_SECONDS = 10, 0.005

# Of all connections that LiteLLM's client may open (50), for releases, and as many for acquires. Thousands of clients
# that come or leave at once would take every one: those at the end of the queue would find no answer in time, or no
# connection at all (a Sentinel's or a cluster's client has 100 and no queue), and Redis would be taken for away.
AT_ONCE = 24


class Releases:
    """Gives slots back, each in a task of its own, and knows for a refusal what is about to come free."""

    def __init__(self, registry: Registry, gauge: Gauge, settings: Settings, outage: Outage) -> None:
        self._registry = registry
        self._gauge = gauge
        self._settings = settings
        self._outage = outage
        # Of each, what is set once Redis was asked for the first time, and what is set when it is over.
        self._under_way: dict[str, dict[Mark, Mark]] = {}
        # How many slots of a gauge this worker has given back, kept while it holds any: a refusal compares.
        self._freed: dict[str, int] = {}
        self._waiting: dict[str, Mark] = {}
        self._turns = asyncio.Semaphore(AT_ONCE)

    def begin(self, lease: Lease, written: Mark | None = None) -> Mark:
        """Give *lease* back; what is returned is set once Redis was asked, whatever came of it.

        Nobody has to wait any longer: what Redis did not confirm is asked again when it answers, and what this worker
        counts itself is right from now on. One that is being written again is given back when that is *written*: a
        release that overtakes it finds nothing, and the slot of a request that is over would stay for a beat or more.
        """
        asked = Mark()
        self._under_way.setdefault(lease.gauge, {})[asked] = Mark()
        begin(self._see_through, lease, asked, written)
        return asked

    def freed(self, gauge: str) -> int | None:
        """Return a number that changes when this worker has given back a slot of *gauge*."""
        return self._freed.get(gauge)

    def locally_freed(self, gauge: str) -> None:
        """Tell those who wait: with nothing written in Redis, a slot is free as soon as its request has ended."""
        self._freed[gauge] = self._freed.get(gauge, 0) + 1
        self._let_look(gauge)
        self.tidy(gauge)

    def tidy(self, gauge: str) -> None:
        """Forget about *gauge* if nothing of it is held here any more: keys come and go, the worker stays."""
        if not self._registry.held(gauge) and gauge not in self._under_way:
            self._freed.pop(gauge, None)
            self._let_look(gauge)

    def _let_look(self, gauge: str) -> None:
        if (awaited := self._waiting.pop(gauge, None)) is not None:
            awaited.set()

    async def came_free(self, gauge: str) -> bool:
        """Wait for the releases here that the refused request has overtaken; return whether to look again.

        All that are under way count, within ``redis_timeout`` seconds. Where a route has no hook before its last byte,
        also the one that begins when the request task of that route ends, within 50 ms of a loop that runs. Where
        Redis is away by now, its refusal means nothing any more.
        """
        under_way = not self._outage.of(gauge) and gauge in self._under_way
        freed = self._registry.holds_unhooked(gauge) and await self._one_ends(gauge)
        until = time.monotonic() + self._settings.redis_timeout
        for over in () if self._outage.of(gauge) else list(self._under_way.get(gauge, {}).values()):
            await over.wait(until - time.monotonic())
        return freed or under_way or self._outage.of(gauge)

    async def catch_up(self, node: str) -> bool:
        """Give back at *node*, which was away, what ended meanwhile; return whether it answered all the while.

        Counted there again before that, a client would be refused for slots of its own that are long over.
        """
        self._outage.returns(node)
        pending = [(gauge, over) for gauge, releases in self._under_way.items() for over in releases.values()]
        for over in [over for gauge, over in pending if self._gauge.node(gauge) == node]:
            while self._outage.is_returning(node) and not await over.wait(self._settings.redis_timeout):
                pass
        return self._outage.is_returning(node)

    async def _one_ends(self, gauge: str) -> bool:
        awaited = self._waiting.setdefault(gauge, Mark())
        for _ in range(_SECOND_LOOK_STEPS):
            if await awaited.wait(_STEP_SECONDS):
                return True
        return False

    async def wait_for_all(self, within: float) -> None:
        """Wait until Redis was asked for every release under way, at most *within* seconds."""
        until = asyncio.get_running_loop().time() + within
        for asked in [asked for under_way in self._under_way.values() for asked in under_way]:
            await asked.wait(until - asyncio.get_running_loop().time())

    async def _see_through(self, lease: Lease, asked: Mark, written: Mark | None) -> None:
        try:
            if written is not None:
                await written.wait(None)
            # For longer than a lease, too: a frozen Redis carries out what it was sent when it wakes up, and the slot
            # of an acquire that nobody waits for any more would be held for a lease from then on.
            while not await self._confirmed(lease, asked):
                await self._outage.until_it_may(lease.gauge)
        except asyncio.CancelledError:
            # An event loop that ends cancels every task once and waits for it: a release that is just on its way would
            # be lost with its connection.
            await self._release_now(lease)
        finally:
            self._released(lease.gauge, asked)

    async def _confirmed(self, lease: Lease, asked: Mark) -> bool:
        """Ask Redis once, and once more where only the connection was at fault; an outage begins if that fails too."""
        try:
            async with self._turns:
                if not self._outage.may_give_back(lease.gauge):
                    return False
                began = time.monotonic()
                await insisted(self._settings.redis_timeout, self._gauge.release, lease)
                self._registry.observer.released(time.monotonic() - began)
        except GaugeUnavailableError as error:
            self._outage.begin(lease.gauge, error)
            return False
        except Exception as error:
            _leave_to_lapse(lease.gauge, error)
        finally:
            asked.set()
        return True

    async def _release_now(self, lease: Lease) -> None:
        """Ask once and no more: the event loop is about to end, and the server's end waits for it."""
        if self._outage.of(lease.gauge):
            return
        try:
            await self._gauge.release(lease)
        except Exception as error:
            _leave_to_lapse(lease.gauge, error)

    def _released(self, gauge: str, asked: Mark) -> None:
        under_way = self._under_way[gauge]
        over = under_way.pop(asked)
        if not under_way:
            del self._under_way[gauge]
        over.set()
        self.locally_freed(gauge)


def _leave_to_lapse(gauge: str, why: Exception) -> None:
    log.warning("cancel_guard: a slot of key %s is left to lapse: %s", shown(gauge), without_key(why, gauge))
