"""Whether Redis is asked at all: from its first silence to the first beat that it answers, nothing waits for it."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, TypeVar

from litellm_cancel_guard.aio.completion import Mark
from litellm_cancel_guard.aio.deadline import LAST_LOOK_SECONDS
from litellm_cancel_guard.gauge import GaugeUnavailableError
from litellm_cancel_guard.ledger.observer import Observer
from litellm_cancel_guard.redaction.records import log

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from typing_extensions import TypeVarTuple, Unpack

    Asked = TypeVarTuple("Asked")

T = TypeVar("T")


# Before the second try and the third, in seconds.
_PAUSES = (0, 0.1)
_MEANWHILE = {
    "local": "enforces each cap on the slots it holds itself",
    "open": "admits every request",
    "closed": "answers 503 to the requests of keys with a cap",
}


async def insisted(patience: float, call: Callable[[Unpack[Asked]], Awaitable[T]], *asked: Unpack[Asked]) -> T:
    """Do what *call* does with *asked*, three times if its failure says nothing about Redis.

    Every call to a gauge may be repeated. Failed within half of *patience* seconds, a connection was closed by Redis or
    something in between; or by the client of a cluster, which closes those to all nodes when one refuses a pipeline
    (redis 5 - 8.1, asyncio/cluster.py). Failed long after them, the event loop stood still, and the answer was there
    before the time was up.

    Raises:
        GaugeUnavailableError: it failed again, or by a silence that is Redis' own.
    """
    started = time.monotonic()
    deadline = started + patience + LAST_LOOK_SECONDS
    for pause in _PAUSES:
        try:
            return await call(*asked)
        except GaugeUnavailableError:
            if patience / 2 < time.monotonic() - started and not stood_still(deadline, patience):
                raise
            await asyncio.sleep(pause)
    return await call(*asked)


def stood_still(deadline: float, patience: float) -> bool:
    """Tell whether *deadline* was missed by so much that only the event loop is to blame.

    Args:
        deadline: seconds on the monotonic clock.
        patience: seconds that the call had.
    """
    return time.monotonic() - deadline > patience / 4


class Outage:
    """One per worker. Only the heartbeat asks Redis during an outage, once a second, and so ends it.

    What it costs: a frozen Redis delays the requests that were asking when it froze, by ``redis_timeout`` seconds
    each, and none that comes later. The log has one line for its beginning and one for its end. Of a Redis Cluster,
    each node has outages of its own; slots on the other nodes are counted as ever.

    Attributes:
        away: the nodes that do not answer, each with the gauge that could not be asked, for the heartbeat to ask again.
    """

    def __init__(self, on_redis_error: str, node_of: Callable[[str], str]) -> None:
        self.away: dict[str, str] = {}
        self.observer = Observer()
        self._node_of = node_of
        # Of those that are away, the ones that answer again and are told what has been given back meanwhile.
        self._returning: set[str] = set()
        self._meanwhile = _MEANWHILE[on_redis_error]
        self._changed = Mark()
        self._when_begun: Callable[[], None] = lambda: None

    @property
    def on(self) -> bool:
        """Whether any node is away."""
        return bool(self.away)

    def of(self, gauge: str) -> bool:
        """Tell whether the node of *gauge* is away."""
        return self.on and self._node_of(gauge) in self.away

    def choose(self, on_redis_error: str) -> None:
        """Say of the next outage what the operator has chosen since."""
        self._meanwhile = _MEANWHILE[on_redis_error]

    def when_begun(self, act: Callable[[], None]) -> None:
        """Have *act* called whenever one begins: the heartbeat is to beat faster."""
        self._when_begun = act

    def begin(self, gauge: str, why: object) -> None:
        """Note that Redis did not answer about *gauge*."""
        node = self._node_of(gauge)
        self._returning.discard(node)
        if node in self.away:
            return
        self.away[node] = gauge
        log.warning(
            "cancel_guard: cannot count slots in Redis%s (%s); until it answers, this worker %s",
            _at(node),
            why,
            self._meanwhile,
        )
        self._tell()
        self._when_begun()

    def end(self, node: str) -> None:
        """Note that *node* answers, and has every slot that is held here."""
        self._returning.discard(node)
        if self.away.pop(node, None) is None:
            return
        log.warning("cancel_guard: Redis answers again%s; slots are counted there", _at(node))
        self._tell()

    def returns(self, node: str) -> None:
        """Note that *node*, which is away, answers: slots may be given back there, and are still counted here."""
        self._returning.add(node)
        self._tell()

    def is_returning(self, node: str) -> bool:
        """Tell whether *node* is away and has answered since it last failed."""
        return node in self._returning

    def may_give_back(self, gauge: str) -> bool:
        """Tell whether the node of *gauge* is to be asked to free a slot."""
        return not self.on or (node := self._node_of(gauge)) not in self.away or node in self._returning

    async def until_it_may(self, gauge: str) -> None:
        """Wait until the node of *gauge* may be asked to free a slot; return at once if it may."""
        while not self.may_give_back(gauge):
            await self._changed.wait(None)

    def _tell(self) -> None:
        self.observer.degraded(self.on)
        changed, self._changed = self._changed, Mark()
        changed.set()


def _at(node: str) -> str:
    return f" at {node}" if node else ""
