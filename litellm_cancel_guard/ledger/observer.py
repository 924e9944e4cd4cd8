"""What happens to requests and their slots, told to whoever counts or logs it. A fault there breaks no request."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Protocol

from litellm_cancel_guard.lease.lease import Ending
from litellm_cancel_guard.redaction.records import log

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from litellm_cancel_guard.lease.graft import Status
    from litellm_cancel_guard.lease.lease import Parting, Turn


class Observed(Protocol):
    """What is told of a request: `registry.Request` is one, and its attributes are described there."""

    route: str
    gauge: str
    limit: int
    held_since: float | None
    ending: Ending | None
    turn: Turn | None


class Observer:
    """Is told, and makes nothing of it. All times are in seconds."""

    def acquired(self, request: Observed) -> None:
        """*request* holds a slot from now on."""

    def refused(self, request: Observed) -> None:
        """*request* got no slot."""

    def waits(self, request: Observed, waiting: int) -> None:
        """*request* waits in line from now on; with it, so many wait for a slot of its key."""

    def waits_no_more(self, request: Observed, parting: Parting, waited: float) -> None:
        """*request*, which has waited so long, is out of the line; one that found it full was never in it."""

    def gave_back(self, request: Observed, held_for: float) -> None:
        """*request* has ended, or its slot has lapsed under it: see its ending."""

    def released(self, seconds: float) -> None:
        """Redis has confirmed a release after *seconds*."""

    def reclaimed(self, slots: int) -> None:
        """So many slots of other workers had lapsed and were dropped: those workers were killed, or cut off."""

    def stream_failed(self, route: str, status: int) -> None:
        """A stream has ended in an error in the protocol of *route*, with this HTTP status or what would be it."""

    def beat(self, late: float) -> None:
        """The heartbeat beats, *late* seconds after it was due."""

    def degraded(self, on: bool) -> None:
        """Redis can't be asked from now on, or it can again."""

    def stands(self, status: Status) -> None:
        """A graft stands so from now on."""

    def introduced(self, about: Mapping[str, str]) -> None:
        """This worker has found LiteLLM's limiter: ``version``, ``litellm``, ``limiter`` and ``redis`` (yes or no)."""

    def known(self, *, proven: bool) -> None:
        """Whether the installed LiteLLM is one that the guard was proven on."""


_EVENTS = tuple(name for name in vars(Observer) if not name.startswith("_"))


class Observers(Observer):
    """Tells each of several, and lets none of them raise.

    Who makes nothing of an event is not told of it: one more that listens to the line costs a request nothing where
    nobody waits.
    """

    def __init__(self) -> None:
        self._told: dict[str, list[Callable[..., None]]] = {event: [] for event in _EVENTS}

    @property
    def empty(self) -> bool:
        """Whether nobody is told yet."""
        return not any(self._told.values())

    def add(self, observer: Observer) -> None:
        """Tell *observer* too, of what happens from now on."""
        for event, told in self._told.items():
            if getattr(type(observer), event) is not getattr(Observer, event):
                told.append(getattr(observer, event))

    def acquired(self, request: Observed) -> None:  # noqa: D102 - as in Observer
        # One that was cancelled meanwhile has ended already, and was told to hold nothing.
        if request.held_since is None and request.ending is None:
            request.held_since = time.monotonic()
            self._tell("acquired", request)

    def refused(self, request: Observed) -> None:  # noqa: D102 - as in Observer
        self._tell("refused", request)

    def waits(self, request: Observed, waiting: int) -> None:  # noqa: D102 - as in Observer
        self._tell("waits", request, waiting)

    def waits_no_more(self, request: Observed, parting: Parting, waited: float) -> None:  # noqa: D102 - as in Observer
        self._tell("waits_no_more", request, parting, waited)

    def ended(self, request: Observed) -> None:
        """Tell what the ending of *request*, which is told once, means for its slot."""
        if request.held_since is not None:
            held_for = time.monotonic() - request.held_since
            self._tell("gave_back", request, held_for)
        elif request.ending is Ending.REFUSED:
            self.refused(request)

    def released(self, seconds: float) -> None:  # noqa: D102 - as in Observer
        self._tell("released", seconds)

    def reclaimed(self, slots: int) -> None:  # noqa: D102 - as in Observer
        self._tell("reclaimed", slots)

    def stream_failed(self, route: str, status: int) -> None:  # noqa: D102 - as in Observer
        self._tell("stream_failed", route, status)

    def beat(self, late: float) -> None:  # noqa: D102 - as in Observer
        self._tell("beat", late)

    def degraded(self, on: bool) -> None:  # noqa: D102 - as in Observer
        self._tell("degraded", on)

    def stands(self, status: Status) -> None:  # noqa: D102 - as in Observer
        self._tell("stands", status)

    def introduced(self, about: Mapping[str, str]) -> None:  # noqa: D102 - as in Observer
        self._tell("introduced", about)

    def known(self, *, proven: bool) -> None:  # noqa: D102 - as in Observer
        self._tell("known", proven=proven)

    def _tell(self, event: str, *about: object, **named: object) -> None:
        for tell in self._told[event]:
            try:
                tell(*about, **named)
            except Exception:
                log.exception("cancel_guard: a metric or a log line was lost")
