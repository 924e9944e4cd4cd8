"""A thread that renews what this worker holds while its event loop stands still.

A callback that blocks the loop keeps the heartbeat from beating; the requests go on at their providers, and after a
lease their slots would be others'. Where the interpreter itself is held (the GIL) no thread runs: the slots lapse.

It can't bring back what has ended, nor keep it, in whichever order things reach Redis:

- A renewal prolongs what is there and adds nothing, a release removes, and no id is given twice. After both, the slot
  is gone.
- The loop takes a lease out of the registry before it sends the release (`Registry.end`, without awaiting), and each
  round reads the registry anew. What was given back before is not asked for; what is given back during a round is in
  Redis for one lease at most, should this worker die before its release arrives.
- An acquire on its way is renewed, too: refused, it has left nothing to renew. One that waits in line is left out: a
  slot that was handed to it has to be claimed within seconds, or goes to the next.

It says nothing itself: the loop may stand still in a logging handler, whose lock it holds. What there is to say, the
loop says when it goes on.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

from litellm_cancel_guard.gauge import GaugeUnavailableError
from litellm_cancel_guard.ledger.outage import insisted
from litellm_cancel_guard.ledger.renewals import Kept
from litellm_cancel_guard.redaction.records import log

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractAsyncContextManager

    from litellm_cancel_guard.gauge import Gauge
    from litellm_cancel_guard.lease.lease import Lease
    from litellm_cancel_guard.ledger.outage import Outage
    from litellm_cancel_guard.ledger.registry import Registry
    from litellm_cancel_guard.ledger.renewals import Renewals
    from litellm_cancel_guard.settings import Settings

    Apart = Callable[[], AbstractAsyncContextManager[Gauge]]

# Of the time by which a lease outlasts the next beat, half passes before the loop is asked for a sign of life. It has
# an eighth to give one: the rest is for a Redis that is slow to answer, or answers when it is asked again.
_UNTIL_ASKED, _TO_ANSWER = 1 / 2, 1 / 8
_MOST_SAID = 20


class _Watched(NamedTuple):
    registry: Registry
    settings: Settings
    outage: Outage
    renewals: Renewals
    apart: Apart


class StandIn:
    """The loop's side of it: starts the thread, ends it, and says what it has to say.

    Args:
        apart: returns the gauge by a client of its own, for another event loop; closed in the end. None: nobody stands
            in.
    """

    def __init__(
        self, registry: Registry, settings: Settings, outage: Outage, renewals: Renewals, apart: Apart | None
    ) -> None:
        self._settings = settings
        self._make = None if apart is None else partial(_Thread, _Watched(registry, settings, outage, renewals, apart))
        self._thread: _Thread | None = None
        self._complaints: set[str] = set()

    def watch(self) -> None:
        """Have the running loop watched, unless it is; at each beat, for a fork of this process has no thread."""
        thread = self._thread
        if thread is not None:
            self._say(thread)
            if self._wanted and thread.watches(asyncio.get_running_loop()):
                thread.keep_pace()
                return
            self.end()
        if self._make is not None and self._wanted:
            thread = self._make(asyncio.get_running_loop())
            try:
                thread.start()
            except RuntimeError as refused:
                self._complain(f"no thread can renew slots while the event loop stands still: {refused}")
            else:
                self._thread = thread

    def end(self) -> None:
        """Let the thread end: the event loop does, or the server."""
        thread, self._thread = self._thread, None
        if thread is not None:
            thread.end()
            self._say(thread)

    @property
    def _wanted(self) -> bool:
        return self._settings.max_stall_renewal_seconds > 0

    def _say(self, thread: _Thread) -> None:
        while thread.stood_still:
            log.warning(
                "cancel_guard: the event loop stood still for %.1f s; a thread renewed the slots held here meanwhile",
                thread.stood_still.popleft(),
            )
        while thread.complaints:
            self._complain(thread.complaints.popleft())

    def _complain(self, text: str) -> None:
        if text in self._complaints:
            return
        if len(self._complaints) >= _MOST_SAID:
            self._complaints.clear()
        self._complaints.add(text)
        log.warning("cancel_guard: %s", text)


class _Thread(threading.Thread):
    """The other side: looks about once a lease or so, and takes a connection only while the loop stands still.

    Attributes:
        stood_still: for the loop to say, for how many seconds it did, where its slots would have lapsed.
        complaints: for the loop to say, why slots could not be renewed.
    """

    def __init__(self, watched: _Watched, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(name="cancel-guard-stand-in", daemon=True)
        self.stood_still: deque[float] = deque(maxlen=_MOST_SAID)
        self.complaints: deque[str] = deque(maxlen=_MOST_SAID)
        self._registry, self._settings, self._outage, self._renewals, self._apart = watched
        self._loop = loop
        self._awake = threading.Event()
        self._ended = self._failing = False
        self._paced_by = self._pace()
        # All on the monotonic clock: that of the system may be set.
        self._alive_at = time.monotonic()

    def watches(self, loop: asyncio.AbstractEventLoop) -> bool:
        """Tell whether it watches *loop*; not in a fork, which has the object alone."""
        return self._loop is loop and self.is_alive()

    def keep_pace(self) -> None:
        """Look again when to look, where the settings have changed: of a shorter lease, it might sleep through all."""
        if self._paced_by != self._pace():
            self._paced_by = self._pace()
            self._awake.set()

    def end(self) -> None:
        """Have it end, soon; nobody waits for it."""
        self._ended = True
        if self.is_alive():
            self._awake.set()

    def run(self) -> None:
        """Look until the loop is over."""
        try:
            while self._goes_on():
                if self._awake.wait(max(0.0, self._next_look() - time.monotonic())):
                    self._awake.clear()
                else:
                    self._look()
        except Exception as fault:
            self.complaints.append(
                f"the thread that renews slots while the event loop stands still has ended: {fault!r}"
            )

    def _goes_on(self) -> bool:
        return not self._ended and self._loop.is_running()

    def _pace(self) -> tuple[float, float]:
        return self._settings.lease_seconds, self._settings.heartbeat_seconds

    def _next_look(self) -> float:
        lease, beat = self._pace()
        asked = self._renewals.renewed_at + beat + (lease - beat) * _UNTIL_ASKED
        return max(asked, self._alive_at + (lease - beat) * _TO_ANSWER)

    def _look(self) -> None:
        """Stand in for the loop if it has something to renew and gives no sign of life."""
        since, sign = max(self._alive_at, self._renewals.renewed_at), threading.Event()
        # In an outage nobody relies on what Redis has, and the loop alone asks it. Of a cluster's other nodes all do.
        if not (self._registry.idle or "" in self._outage.away):
            try:
                self._loop.call_soon_threadsafe(sign.set)
            except RuntimeError:
                return
            lease, beat = self._pace()
            if not sign.wait((lease - beat) * _TO_ANSWER):
                self._stand_in(since, sign)
        self._alive_at = time.monotonic()

    def _stand_in(self, since: float, sign: threading.Event) -> None:
        renewed = False
        while not sign.is_set() and self._goes_on():
            lease, beat = self._pace()
            most = self._settings.max_stall_renewal_seconds
            if time.monotonic() - since >= most:
                self.complaints.append(
                    f"the event loop stood still for longer than max_stall_renewal_seconds ({most:g}); its slots were "
                    "left to lapse"
                )
                self._await(sign)
                return
            done = self._renew()
            renewed |= done and bool(self._renewals.kept.leases)
            sign.wait(beat if done else (lease - beat) * _TO_ANSWER)
        if renewed and (stood_still := time.monotonic() - since) >= self._settings.lease_seconds:
            self.stood_still.append(stood_still)

    def _await(self, sign: threading.Event) -> None:
        while self._goes_on() and not sign.wait(self._settings.lease_seconds):
            pass

    def _renew(self) -> bool:
        """Renew what is held now, and return whether Redis said so."""
        began = time.monotonic()
        try:
            held = self._held()
            kept = asyncio.run(self._ask(held)) if held else set()
        except Exception as fault:
            if not self._failing:
                self._failing = True
                why = fault if isinstance(fault, GaugeUnavailableError) else repr(fault)
                self.complaints.append(
                    f"the event loop stood still, and the thread that renews slots meanwhile could not: {why}"
                )
            return False
        self._failing = False
        self._renewals.kept = Kept(began, frozenset(kept))
        return True

    def _held(self) -> list[Lease]:
        waiting = {lease for lease in set(self._renewals.asking) if lease.turn is not None}
        return [lease for lease in self._registry.held_here() if lease not in waiting]

    async def _ask(self, held: list[Lease]) -> set[Lease]:
        """Renew *held*, on each node of a cluster by itself, and on none that is away; return what Redis has."""
        async with self._apart() as gauge:
            shares: dict[str, list[Lease]] = {}
            for lease in held:
                shares.setdefault(gauge.node(lease.gauge), []).append(lease)
            asked = [share for node, share in shares.items() if node not in self._outage.away]
            answers = await asyncio.gather(
                *(insisted(self._settings.redis_timeout, gauge.renew, share) for share in asked), return_exceptions=True
            )
        kept = set(chain(*asked))
        for answer in answers:
            if isinstance(answer, BaseException):
                raise answer
            kept -= answer
        return kept
