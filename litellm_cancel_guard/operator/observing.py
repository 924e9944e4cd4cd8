"""Who is told of what happens in this worker."""

from __future__ import annotations

from typing import TYPE_CHECKING

from litellm_cancel_guard.operator import metrics
from litellm_cancel_guard.operator.leaks import Leaks
from litellm_cancel_guard.operator.long_lines import LongLines

if TYPE_CHECKING:
    from litellm_cancel_guard.host.grafting import Board
    from litellm_cancel_guard.ledger.observer import Observers


def observe(observers: Observers, board: Board, *, per_key: bool) -> None:
    """Have the log and Prometheus told by *observers*, and first of how each graft of *board* stands; once."""
    if not observers.empty:
        return
    observers.add(Leaks())
    observers.add(LongLines())
    counting = metrics.observer(per_key=per_key)
    if counting is not None:
        observers.add(counting)
    for status in board.statuses():
        observers.stands(status)
