"""What this worker says of who holds its slots; see `lease.holders`."""

from __future__ import annotations

import itertools
import time
from typing import TYPE_CHECKING

from litellm_cancel_guard.lease.holders import AGENT_DIGITS, MOST_SLOTS, Holder, Holding, shortened

if TYPE_CHECKING:
    from litellm_cancel_guard.ledger.registry import Registry, Request


class Holdings:
    """Looks at this worker's requests with each beat; between two of them nothing is noted."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        # Of each slot, how many bytes its provider had sent, and when that was seen to have grown.
        self._grew: dict[str, tuple[int, float]] = {}

    def now(self) -> Holding | None:
        """Return what is to be said with this beat; None where there is nothing to say."""
        some = list(itertools.islice(self._registry.leases(), MOST_SLOTS))
        grew, self._grew = self._grew, {}
        holders = {lease.id: self._holder(lease.id, request, grew) for lease, request in some}
        refusals = self._registry.refusals.kept()
        left_out = self._registry.slots() - len(some)
        return Holding(holders, left_out, refusals) if holders or refusals else None

    def _holder(self, slot: str, request: Request, grew: dict[str, tuple[int, float]]) -> Holder:
        (model, call_id, path, detail), quiet = request.about, None
        if request.closer is not None:
            now, received = time.monotonic(), request.closer.received()
            before, since = grew.get(slot, (-1, now))
            self._grew[slot] = (received, now if received != before else since)
            quiet = round(now - self._grew[slot][1], 1)
        agent = f"{request.caller:016x}"[:AGENT_DIGITS] if request.caller else ""
        waited = round(request.waited, 1)
        return Holder(shortened(model), shortened(call_id), shortened(path), agent, quiet, detail, waited)
