"""The only place that knows LiteLLM's own limiter: its detection, and an adapter for each shape."""

from __future__ import annotations

from typing import TYPE_CHECKING

from litellm_cancel_guard.host.limiter.canary import prove
from litellm_cancel_guard.host.limiter.counting import counted_by_litellm, silence_decrements
from litellm_cancel_guard.host.limiter.detection import (
    Recognised,
    UnknownLimiterError,
    find_limiter,
    litellm_version,
    recognise,
)
from litellm_cancel_guard.host.limiter.fail_closed import FAILS_CLOSED, fails_closed, would_fail_closed
from litellm_cancel_guard.host.limiter.gauges import describe, gauge_for, kind_of, namespacing, notice_for, survey_of
from litellm_cancel_guard.host.limiter.order import enclose, precede, put_in_order
from litellm_cancel_guard.host.limiter.refusal import tell_the_truth
from litellm_cancel_guard.host.limiter.reservations import keeps_reservations, settle_once
from litellm_cancel_guard.host.limiter.seam import EARLY_LOOK, install, is_installed, note_early_looks
from litellm_cancel_guard.host.limiter.slots import Covered, save_releases
from litellm_cancel_guard.host.limiter.together import combine
from litellm_cancel_guard.host.limiter.tokens import gather, send_apart_where_asked
from litellm_cancel_guard.lease.graft import State
from litellm_cancel_guard.redaction.records import log

if TYPE_CHECKING:
    from collections.abc import Callable

    from litellm_cancel_guard.host.grafting import Board, Touch
    from litellm_cancel_guard.host.limiter.seam import Admits


__all__ = [
    "FAILS_CLOSED",
    "Recognised",
    "UnknownLimiterError",
    "attach",
    "counted_by_litellm",
    "describe",
    "enclose",
    "fails_closed",
    "find_limiter",
    "gauge_for",
    "kind_of",
    "litellm_version",
    "notice_for",
    "precede",
    "prove",
    "put_in_order",
    "recognise",
    "survey_of",
    "would_fail_closed",
]


def attach(recognised: Recognised, admits: Admits, covers: Callable[[], bool], board: Board) -> list[Touch]:
    """Put the guard into the limiter; *covers* is for `silence_decrements`. Return what takes it out again.

    What is only right together is put in together or not at all; what merely saves something may be left out.

    Raises:
        NotFoundError: the limiter can't be guarded, and is as it was.
    """
    limiter = recognised.limiter
    if is_installed(limiter):
        log.warning("cancel_guard: another copy of it guards this limiter already: list the callback once")
        return []
    steps = _Steps(board)
    try:
        steps.may("tokens.gather", lambda touch: gather(limiter, touch))
        steps.may("tokens.apart", lambda touch: send_apart_where_asked(limiter, touch))
        if keeps_reservations(limiter):
            steps.may("tokens.reservations", lambda touch: settle_once(limiter, touch))
        else:
            steps.needless("tokens.reservations")
        covered = Covered()
        if recognised.shape == "counting":
            steps.must("slots.decrements", lambda touch: silence_decrements(limiter, covers, touch))
            steps.needless("slots.releases", "slots.early_look")
        else:
            steps.must("slots.releases", lambda touch: save_releases(limiter, covered, touch))
            steps.needless("slots.decrements", "slots.together")
        steps.may("slots.refusal", lambda touch: tell_the_truth(limiter, touch))
        combined = recognised.shape == "counting" and recognised.redis_cache is not None
        combined = combined and steps.may(
            "slots.together", lambda touch: combine(limiter, namespacing(recognised), touch)
        )
        steps.must("slots.seam", lambda touch: install(limiter, admits, covered, touch, combined=combined))
        if hasattr(limiter, EARLY_LOOK):
            steps.may("slots.early_look", lambda touch: note_early_looks(limiter, touch))
        else:
            steps.needless("slots.early_look")
    except BaseException as fault:
        steps.take_out(str(fault))
        raise
    return steps.touches


class _Steps:
    def __init__(self, board: Board) -> None:
        self._board = board
        self.touches: list[Touch] = []

    def must(self, name: str, put_in: Callable[[Touch], None]) -> None:
        touch = self._board.touch(name)
        self.touches.append(touch)
        put_in(touch)
        self._board.note(name, State.IN_FORCE)

    def may(self, name: str, put_in: Callable[[Touch], None]) -> bool:
        try:
            self.must(name, put_in)
        except Exception as fault:
            self.touches.pop().take_out()
            self._board.note(name, State.STANDS_ASIDE, str(fault))
            return False
        return True

    def needless(self, *names: str) -> None:
        for name in names:
            self._board.note(name, State.NOT_NEEDED, "this limiter works without")

    def take_out(self, reason: str) -> None:
        for touch in reversed(self.touches):
            touch.take_out()
            self._board.note_out(touch, reason)
