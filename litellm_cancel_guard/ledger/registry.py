"""This worker's requests in flight, each with its lease: the context registry.

Every decision here is made without awaiting; what follows from it in Redis is the ledger's work.
"""

from __future__ import annotations

import itertools
import time
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from litellm_cancel_guard.lease.holders import NOBODY
from litellm_cancel_guard.lease.routes import UNHOOKED_ROUTES
from litellm_cancel_guard.ledger.observer import Observers
from litellm_cancel_guard.ledger.refusals import Refusals

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Iterator
    from weakref import ReferenceType

    from litellm_cancel_guard.host.serving import Asked, Served
    from litellm_cancel_guard.lease.lease import Ending, Lease, Turn

_current: ContextVar[Request | None] = ContextVar("litellm_cancel_guard_request", default=None)

_NEVER = float("-inf")


def _ignore(request: Request) -> None:
    """Make nothing of the end of a task."""


class Request:
    """One client request in flight.

    Attributes:
        about: who asks, as far as it may be shown.
        asked: the call of its client, which is told where it is ended by hand; None where that is not known.
        route: LiteLLM's call type, for logs and metrics.
        caller: who asks, as a number that says nothing of who it is; of one key, those who name nobody are one.
        lease: the slot it holds or is about to hold; None while it holds none.
        gauge: what its slot is counted in; empty until it asked for one.
        limit: the cap it was or is to be admitted under.
        held_since: when it was given its slot, in seconds on the monotonic clock; None if it never was.
        ending: why it ended; None while it is in flight.
        opened_at: seconds on the monotonic clock.
        streaming: whether its stream is guarded already: a callback may be listed twice.
        tasks: how many that it lasts as long as are not done yet.
        closer: what closes its stream, while that is read.
        served: what its server tells of it; None where that tells nothing.
        calls_tools_in: the ASGI task in which it has called a tool, weakly; None if it has called none.
        turn: how it waits where its key is full; None where it is refused at once.
        patience: how long it waits at most, in seconds.
        waited: how long it has waited in line, in seconds; 0 if it never did.
        stream: the guarded stream of it, weakly; None where there is none.
        to_end_as: what its end is to be called, where somebody else has had it ended.
        told_at: when that was asked for last, in seconds on the monotonic clock; long ago if never.
    """

    __slots__ = (
        *("about", "asked", "caller", "calls_tools_in", "closer", "ending", "gauge", "held_since", "lease", "limit"),
        *("opened_at", "route", "patience", "served", "stream", "streaming", "tasks", "to_end_as", "told_at", "turn"),
        "waited",
    )

    def __init__(self, route: str) -> None:
        self.about = NOBODY
        self.asked: Asked | None = None
        self.route = route
        self.caller = 0
        self.lease: Lease | None = None
        self.gauge = ""
        self.limit = 0
        self.held_since: float | None = None
        self.ending: Ending | None = None
        self.opened_at = time.monotonic()
        self.streaming = False
        self.tasks = 1
        self.closer: Any = None
        self.served: Served | None = None
        self.calls_tools_in: ReferenceType[asyncio.Task[object]] | None = None
        self.turn: Turn | None = None
        self.patience = 0.0
        self.waited = 0.0
        self.stream: ReferenceType[Any] | None = None
        self.to_end_as: Ending | None = None
        self.told_at = _NEVER

    def asked_by(self, caller: int) -> None:
        """Note who asks."""
        self.caller = caller

    def may_wait(self, turn: Turn | None, seconds: float) -> None:
        """Have it wait in line for so many *seconds* at most where its key is full, or not at all."""
        self.turn, self.patience = turn, seconds

    def has_waited(self, seconds: float) -> None:
        """Note that it has waited in line for so many *seconds*, perhaps once more: for a fallback it asks again."""
        self.waited += seconds
        if self.asked is not None:
            self.asked.waited += seconds

    def is_over(self, lease_seconds: float) -> bool:
        """Tell whether it is over as far as its server tells, although its tasks may never end.

        One that only waits for its server is over a lease after its last message; see `Served.is_over`. Of one that has
        given its slot back, the task is all that is kept.
        """
        return self.served is not None and self.served.is_over(lease_seconds, self.tasks)

    def __repr__(self) -> str:
        state = self.ending.value if self.ending else "in flight"
        return f"<Request {self.route} {state} {self.lease or 'no slot'}>"


class Registry:
    """Requests by the ASGI task that serves them, never by an id that a client may choose and repeat.

    Args:
        on_task_end: called with a request when every task that serves it is done.

    Attributes:
        refusals: whom it has refused.
        when_idle: called when the last slot that is held here has come back.
    """

    def __init__(self, on_task_end: Callable[[Request], None] = _ignore) -> None:
        self._on_task_end = on_task_end
        # One for all: what is alive for each request at once brings on Python's garbage collections.
        self._when_done = self._task_ended
        self.observer = Observers()
        self.refusals = Refusals()
        self._by_task: dict[asyncio.Task[object], Request] = {}
        self._held: dict[str, dict[Lease, Request]] = {}
        self.when_idle: Callable[[], object] = lambda: None

    def open(self, task: asyncio.Task[object], route: str, outer: asyncio.Task[object] | None = None) -> Request:
        """Open a request for *task*, or join the one it is already serving; it lasts as long as *outer*, too.

        The pre-call chain runs again for the same HTTP request when a fallback follows LiteLLM's own 429
        (1.93, common_request_processing.py) and when the callback is listed twice: still one request.
        """
        request = self._by_task.get(task)
        if request is None or request.ending is not None:
            request = Request(route)
            if task not in self._by_task:
                task.add_done_callback(self._when_done)
            self._by_task[task] = request
            self.last(request, outer)
        _current.set(request)
        return request

    def last(self, request: Request, task: asyncio.Task[object] | None) -> None:
        """Have *request* last until *task*, if there is one, is done, where that is later than its end without."""
        if task is not None and request.tasks and self._by_task.get(task) is not request:
            request.tasks += 1
            task.add_done_callback(lambda _: self._one_done(request))

    def current(self) -> Request | None:
        """Return the request that this code runs for, in whatever task or copy of its context."""
        return _current.get()

    def leave_context(self) -> None:
        """Forget the request of this context.

        uvicorn starts a pipelined request from inside the task of the one before it, whose context it inherits: its
        stream would end a request that is not its own.
        """
        if _current.get() is not None:
            _current.set(None)

    def hold(self, request: Request, lease: Lease, limit: int) -> None:
        """Tie *lease* to *request* before Redis is asked, so that every ending from now on gives it back."""
        request.lease, request.gauge, request.limit = lease, lease.gauge, limit
        self._held.setdefault(lease.gauge, {})[lease] = request

    def drop(self, request: Request) -> None:
        """Untie the lease of *request*, which goes on without one: the acquire was refused."""
        lease, request.lease = request.lease, None
        if lease is not None:
            self._forget(lease)

    def end(self, request: Request, ending: Ending) -> Lease | None:
        """End *request*, once; return the lease that is now to be released, to the first caller only."""
        if request.ending is not None:
            return None
        request.ending = request.to_end_as or ending
        if request.lease is not None:
            self._forget(request.lease)
        self.observer.ended(request)
        return request.lease

    def held(self, gauge: str) -> int:
        """Return how many slots of *gauge* this worker holds."""
        return len(self._held.get(gauge, ()))

    def ids(self, gauge: str) -> tuple[str, ...]:
        """Return the id of each slot of *gauge* that this worker holds."""
        return tuple(lease.id for lease in self._held.get(gauge, ()))

    def ages(self, gauge: str) -> dict[str, float]:
        """Return for how many seconds each slot of *gauge* has been held here, by its id."""
        now, held = time.monotonic(), self._held.get(gauge, {})
        return {lease.id: now - one.held_since for lease, one in held.items() if one.held_since is not None}

    def holder(self, slot: str) -> Request | None:
        """Return the request that holds the slot of that id here; None where none does."""
        return next((request for lease, request in self.leases() if lease.id == slot), None)

    def is_to_end(self, request: Request, ending: Ending, *, again: float) -> bool:
        """Note that *request* is to end, as *ending*; return whether that is news, or *again* seconds old."""
        now = time.monotonic()
        news = now - request.told_at >= again
        if news:
            request.to_end_as, request.told_at = ending, now
        return news

    def goes_on(self, request: Request) -> None:
        """Forget that *request* was to end: it could not be."""
        request.to_end_as, request.told_at = None, _NEVER

    def tasks_of(self, request: Request) -> list[asyncio.Task[object]]:
        """Return the tasks that *request* was opened in and that are not done."""
        return [task for task, served in self._by_task.items() if served is request]

    def limits(self, most: int) -> list[tuple[str, int]]:
        """Return the cap last enforced on each of *most* gauges that this worker holds slots of."""
        return [(name, next(reversed(its.values())).limit) for name, its in itertools.islice(self._held.items(), most)]

    def holds_unhooked(self, gauge: str) -> bool:
        """Tell whether a slot of *gauge* is held by a request whose client may have seen its end already."""
        return any(map(_is_unhooked, self._held.get(gauge, {}).values()))

    def leases(self) -> Iterator[tuple[Lease, Request]]:
        """Yield every lease held here, with its request; none may begin or end meanwhile."""
        for held in self._held.values():
            yield from held.items()

    def held_here(self) -> list[Lease]:
        """Return every lease held here, as it is now: these may begin and end while the list is gone through.

        Each dict is copied first, for another thread. No pairs: ten thousand bring on the garbage collector.
        """
        return [lease for held in list(self._held.values()) for lease in list(held)]

    def holding(self, lease: Lease) -> Request | None:
        """Return the request that *lease* is tied to; None where it has ended."""
        return self._held.get(lease.gauge, {}).get(lease)

    def everyone(self) -> list[Request]:
        """Return all that are served and all that hold a slot, as they are now."""
        return list(dict.fromkeys((*self._by_task.values(), *(request for _, request in self.leases()))))

    def abandon(self, request: Request) -> None:
        """Let go of the tasks of *request*, which has ended, as if they were done.

        They may never be, and a task that nothing will ever wake is collected, but where it is held.
        """
        for task in self.tasks_of(request):
            del self._by_task[task]
        request.tasks = 0
        self._on_task_end(request)

    def __len__(self) -> int:
        return len(self._by_task)

    def slots(self) -> int:
        """Return how many slots are held here."""
        return sum(map(len, self._held.values()))

    def _forget(self, lease: Lease) -> None:
        held = self._held.get(lease.gauge)
        if held is not None:
            held.pop(lease, None)
        if held is not None and not held:
            del self._held[lease.gauge]
            if not self._held:
                self.when_idle()

    @property
    def idle(self) -> bool:
        """Whether no slot is held here."""
        return not self._held

    def _task_ended(self, task: asyncio.Task[object]) -> None:
        request = self._by_task.pop(task, None)
        if request is not None:
            self._one_done(request)

    def _one_done(self, request: Request) -> None:
        request.tasks -= 1
        if not request.tasks:
            self._on_task_end(request)


def _is_unhooked(request: Request) -> bool:
    return request.route in UNHOOKED_ROUTES or (request.closer is not None and request.closer.goes_on)
