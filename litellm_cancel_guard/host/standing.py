"""Whether the guard counts in this worker: put into LiteLLM's limiter, proven there, switched off, or taken out."""

from __future__ import annotations

import asyncio
from contextvars import Context
from functools import partial
from typing import TYPE_CHECKING

from litellm_cancel_guard.host.grafting import SWITCHED_OFF, NotFoundError
from litellm_cancel_guard.host.limiter.canary import Verdict
from litellm_cancel_guard.host.limiter.order import Order
from litellm_cancel_guard.lease.graft import State
from litellm_cancel_guard.redaction.records import log

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from litellm_cancel_guard.host.grafting import Board, Touch
    from litellm_cancel_guard.host.limiter.canary import Proof
    from litellm_cancel_guard.ledger.registry import Registry


SLOTS = "slots"

# LiteLLM's log events of a request come this long after its end, and up to 1.93 count it down once more.
_LATE_EVENTS_SECONDS = 5.0
_UNDECIDED_SECONDS, _DISPROVEN_SECONDS = 5.0, 60.0


class Standing:
    """What is held is renewed and released in any case; what changes is whether new requests are the guard's.

    Attributes:
        counts: whether requests that begin now are counted by the guard.
        order: sees whether the guard is asked before the limiter.
        when_out: called when the guard has been switched off and nothing is held any more.
    """

    def __init__(self, board: Board, registry: Registry) -> None:
        self._board = board
        self._registry = registry
        self._touches: list[Touch] = []
        self._put_in: Callable[[list[Touch]], None] = lambda _: None
        self._canary: Callable[[], Awaitable[Proof]] | None = None
        self._asking: asyncio.Task[None] | None = None
        self._decided = False
        self._off = self._given_up = False
        self._reason = ""
        self.counts = False
        self.order = Order(partial(self.stand_aside, State.TAKEN_OUT))
        self.when_out: Callable[[], None] = lambda: None
        registry.when_idle = self._soon_out

    def attach(self, put_in: Callable[[list[Touch]], None], canary: Callable[[], Awaitable[Proof]]) -> None:
        """Be in force by what *put_in* puts into the limiter, and into its list; *canary* says whether that is right.

        Raises:
            NotFoundError: it can't be put in.
        """
        self._put_in, self._canary, self._decided = put_in, None, False
        self.come_back()
        self._canary = canary

    def come_back(self) -> None:
        """Be in force again.

        Raises:
            NotFoundError: LiteLLM's limiter has changed meanwhile.
        """
        self._off = False
        if not self._touches:
            try:
                self._put_in(self._touches)
            except BaseException as fault:
                # Left in LiteLLM's limiter, it would pass for in force where nothing is counted.
                self._take_out(str(fault))
                raise
        self.order.begin()
        self.counts = True

    async def decided(self) -> None:
        """Wait until the canary has been asked once: no request is counted before."""
        if self._decided or self._canary is None:
            return
        if self._asking is None or self._asking.done():
            # Not in the request's context, which the task would keep, nor ended with it: others wait for it, too.
            self._asking = Context().run(asyncio.get_running_loop().create_task, self._ask())
        await asyncio.wait((self._asking,))

    def switch_on(self) -> None:
        """Be in force again if it was switched off: no other change of the settings undoes what the canary has seen.

        Raises:
            NotFoundError: LiteLLM's limiter has changed meanwhile.
        """
        if self._off:
            self._decided = self._given_up = False
            self.come_back()

    def switch_off(self) -> None:
        """Leave all to LiteLLM: new requests from now on, and its objects once the last slot is back."""
        self._off = True
        self.stand_aside(State.STANDS_ASIDE, SWITCHED_OFF)

    def stand_aside(self, state: State, reason: str) -> None:
        """Leave the count of new requests to LiteLLM, and its limiter as it was once the last slot is back."""
        self.counts, self._reason = False, reason
        # What requests have shown, the canary can't see: it would put the guard back where it counts nothing.
        self._given_up = self._given_up or state is State.TAKEN_OUT
        self._board.note_group(SLOTS, state, reason)
        if self._registry.idle:
            self._soon_out()

    def _soon_out(self) -> None:
        if self.counts or not (self._touches or self._off):
            return
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            self._out()
        else:
            loop.call_later(_LATE_EVENTS_SECONDS, self._out, context=Context())

    def _out(self) -> None:
        if self.counts or not self._registry.idle:
            return
        self._take_out(self._reason)
        if self._off:
            self.when_out()

    def _take_out(self, reason: str) -> None:
        while self._touches:
            touch = self._touches.pop()
            touch.take_out()
            self._board.note_out(touch, reason)

    async def _ask(self) -> None:
        if self._canary is None or self._off or self._given_up:
            return
        proof = await self._canary()
        self._decided = True
        if self._given_up:
            return
        if proof.verdict is Verdict.PROVEN:
            if not self.counts and self._came_back():
                log.warning("cancel_guard: LiteLLM counts where the guard does now; its slots are guarded from here on")
            return
        if proof.verdict is Verdict.DISPROVEN and self.counts:
            self.stand_aside(State.STANDS_ASIDE, proof.reason)
        if proof.verdict is Verdict.UNDECIDED:
            log.info("cancel_guard: not known yet whether LiteLLM counts where the guard does: %s", proof.reason)
        later = _UNDECIDED_SECONDS if proof.verdict is Verdict.UNDECIDED else _DISPROVEN_SECONDS
        asyncio.get_running_loop().call_later(later, self._ask_again, context=Context())

    def _came_back(self) -> bool:
        try:
            self.come_back()
        except NotFoundError as reason:
            self.stand_aside(State.STANDS_ASIDE, str(reason))
            return False
        return True

    def _ask_again(self) -> None:
        self._asking = asyncio.get_running_loop().create_task(self._ask())
