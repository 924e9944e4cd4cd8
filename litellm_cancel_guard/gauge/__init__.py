"""The record of the slots in flight: in Redis, or in the process where LiteLLM runs without Redis.

Every call is one atomic step, a Lua script where it is in Redis. Knows Redis and how slots lie in it; may import lease,
settings and aio.
Never here: a request, a retry that nobody has bounded, a key without an expiry.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from litellm_cancel_guard.lease.lease import Admission, FollowUp, Lease


class GaugeUnavailableError(Exception):
    """Redis could not be asked: nothing is known about the lease. The backstop is the lease's own end."""


class GaugeCorruptError(Exception):
    """A Redis key of the guard's holds another type. The message names the key and says what to do."""


class Gauge(Protocol):
    """Acquire, renew, release and count; every call is one atomic step.

    All of them may raise GaugeUnavailableError or GaugeCorruptError, and nothing else.
    What an acquire that was admitted and a release say of slots in flight may count some that have lapsed and are in
    nobody's way, until they are dropped: by an acquire that would be refused for them, a renewal or a count.
    Repeating any of them with the same lease changes nothing further, but that a follow-up runs again.
    """

    async def acquire(self, lease: Lease, limit: int, follow_up: FollowUp | None = None) -> Admission:
        """Hold a slot for *lease* if fewer than *limit* are held; *follow_up* may be left to the caller to run.

        A lease that has a turn waits in line where none is free or others wait, and is handed one by a release: asked
        for again then, it is held for a lease; asked for later, it waits on at its place, which it must know.
        """
        ...

    async def release(self, lease: Lease) -> int:
        """Give the slot of *lease* back, or its place in line, if it has either; return the slots still held."""
        ...

    async def look(self, gauge: str, ids: Sequence[str]) -> set[str]:
        """Keep the places of *ids* in line, and hand over what is free; return those of them that are not in line."""
        ...

    def hear(self, told: Callable[[str], object]) -> None:
        """Tell *told* the id of each waiter of this worker that is handed a slot, but for those that get lost."""
        ...

    async def renew(self, leases: Collection[Lease]) -> set[Lease]:
        """Hold each of *leases* for another lease time; return those that were no longer held (and are not retaken)."""
        ...

    async def hold(self, wanted: Sequence[tuple[Lease, int]]) -> list[bool | None]:
        """Acquire each of many leases under the limit beside it, one step each, in few round trips.

        Returns:
            Of each, whether it is held now; None of one whose gauge's keys hold another type, which is not raised.
        """
        ...

    async def count(self, gauge: str) -> int:
        """Return the slots held now."""
        ...

    def node(self, gauge: str) -> str:
        """Return which Redis of a cluster has *gauge*; the same for all where there is one."""
        ...
