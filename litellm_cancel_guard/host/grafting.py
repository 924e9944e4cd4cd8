"""The one way in which the guard touches its host: each touch is declared, can be taken out again, and says its state.

LiteLLM ships several releases a week. What a graft leans on may be gone, renamed or of another shape in a release that
nobody has played: it then stands aside and says so, and LiteLLM goes on as if the guard were not there.
"""

from __future__ import annotations

import inspect
import logging
import time
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from litellm_cancel_guard.host.called import asking, awaited, called
from litellm_cancel_guard.lease.graft import NOT_YET, Graft, State, Status
from litellm_cancel_guard.redaction.records import log

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable


_MISSING: Any = object()
_MARK = "__cancel_guard__"

# So many faults, of so many different requests, within so many seconds take a graft out.
_FAULTS, _FAULT_SECONDS = 5, 60.0
SWITCHED_OFF = "switched off by its settings"


class NotFoundError(Exception):
    """What a graft changes is not there, or not of the shape that it knows; the message says which."""


@dataclass
class Touched:
    """One attribute of the host's that is another now."""

    owner: Any
    name: str
    before: Any
    now: Any

    def put_back(self) -> None:
        """Have the host's attribute again; what somebody else has wrapped since stays, and passes everything on."""
        if vars(self.owner).get(self.name, _MISSING) is not self.now:
            return
        if self.before is _MISSING:
            delattr(self.owner, self.name)
        else:
            setattr(self.owner, self.name, self.before)


@dataclass(eq=False)
class Touch:
    """What one graft has put into the host.

    Attributes:
        graft: which.
        in_force: whether its wrappers do anything; out of force they pass everything on.
        fault: is told of each fault of the graft's own.
    """

    graft: Graft
    in_force: bool = True
    fault: Callable[[Graft, BaseException], None] = lambda _graft, _error: None
    _touched: list[Touched] = field(default_factory=list)
    _undoing: list[Callable[[], None]] = field(default_factory=list)

    def put(self, owner: Any, name: str, value: Any) -> None:
        """Have *owner*'s attribute *name* be *value* until the graft is taken out.

        Raises:
            NotFoundError: *owner* takes no attributes.
        """
        before = vars(owner).get(name, _MISSING) if hasattr(owner, "__dict__") else _MISSING
        try:
            setattr(owner, name, value)
        except (AttributeError, TypeError) as refused:
            raise NotFoundError(f"{_named(owner)}.{name} can't be set: {refused}") from refused
        if getattr(owner, "__dict__", {}).get(name, getattr(owner, name, _MISSING)) is not value:
            raise NotFoundError(f"{_named(owner)}.{name} is not what it was set to")
        self._touched.append(Touched(owner, name, before, vars(owner).get(name, value)))

    def remove(self, owner: Any, name: str) -> None:
        """Take *owner*'s own attribute *name* away until the graft is taken out."""
        before = vars(owner)[name]
        delattr(owner, name)
        self._undoing.append(lambda: setattr(owner, name, before))

    def replace(
        self,
        owner: Any,
        name: str,
        replacement: Callable[..., Any],
        when: Callable[..., bool] | None = None,
    ) -> None:
        """Have *replacement* answer for the method *name* of *owner*: it is called with the original before all else.

        A fault of *replacement* before the original has run means one call of that with the caller's own arguments;
        after it, what the original gave. A replacement of a coroutine function is one. *when* is asked first, at little
        cost, with the caller's own arguments: those of which it says no are the original's alone.

        Raises:
            NotFoundError: the method is not there, or another object's, or it is a coroutine function and *replacement*
                is none, or the other way round.
        """
        original = getattr(owner, name, None)
        if not callable(original):
            raise NotFoundError(f"{_named(owner)} has no method {name}")
        if _is_of_another(original, owner, name):
            raise NotFoundError(f"{_named(owner)} only hands {name} on: what it hands on to goes by its own")
        if inspect.iscoroutinefunction(original) != inspect.iscoroutinefunction(replacement):
            how = "a" if inspect.iscoroutinefunction(original) else "no"
            raise NotFoundError(f"{_named(owner)}.{name} is {how} coroutine function here")
        make = awaited if inspect.iscoroutinefunction(original) else called
        wrapper = make(self, original, replacement)
        if when is not None:
            wrapper = asking(self, original, wrapper, when)
        setattr(wrapper, _MARK, self)
        self.put(owner, name, staticmethod(wrapper) if _is_static(owner, name) else wrapper)

    def when_out(self, undo: Callable[[], None]) -> None:
        """Have *undo* called when the graft is taken out, for what is no attribute."""
        self._undoing.append(undo)

    def take_out(self) -> None:
        """Have the host's objects be what they were, in the reverse order."""
        self.in_force = False
        while self._undoing:
            self._undoing.pop()()
        while self._touched:
            self._touched.pop().put_back()

    def met(self, error: BaseException) -> None:
        """Tell of a fault of the graft's own."""
        self.fault(self.graft, error)


class Board:
    """The state of each graft of this worker, from its start on.

    Args:
        declared: all grafts.
        told: is told of each change.
        takes_out: takes a group out, for new requests only.
        who: names the request and the key that a fault is met in.
    """

    def __init__(
        self,
        declared: Iterable[Graft],
        *,
        told: Callable[[Status], None] = lambda _: None,
        takes_out: Callable[[str, str], None] = lambda _group, _reason: None,
        who: Callable[[], Hashable] = lambda: None,
    ) -> None:
        self._statuses = {graft.name: Status(graft, State.STANDS_ASIDE, NOT_YET) for graft in declared}
        self.told = told
        self.takes_out = takes_out
        self.who = who
        self._faults: dict[str, deque[tuple[float, Hashable]]] = {}
        self._touches: WeakSet[Touch] = WeakSet()

    def touch(self, name: str) -> Touch:
        """Return what puts the graft of that *name* into the host."""
        touch = Touch(self._statuses[name].graft, fault=self.fault)
        self._touches.add(touch)
        return touch

    def pass_on(self, group: str, reason: str) -> None:
        """Have the grafts of *group* pass everything on: what a stream under way has of them, it keeps to its end."""
        for touch in self._touches:
            if touch.graft.group == group:
                touch.in_force = False
        self.note_group(group, State.TAKEN_OUT, reason)

    def note(self, name: str, state: State, reason: str = "") -> None:
        """Have the graft of that *name* stand so from now on; said in the log where that is a change for the worse."""
        if self._changed(name, state, reason) and reason != SWITCHED_OFF:
            # Asked for, it is said once, of the slots: two dozen warnings behind that would hide it.
            self._say(name, state, reason, self._statuses[name].graft.without)

    def note_out(self, touch: Touch, reason: str) -> None:
        """Have the graft of *touch*, which has been taken out, stand aside, unless that is known."""
        if self._statuses[touch.graft.name].state is State.IN_FORCE:
            self.note(touch.graft.name, State.STANDS_ASIDE, reason)

    def note_group(self, group: str, state: State, reason: str) -> None:
        """Have all grafts of *group* that this LiteLLM needs stand so; said once."""
        needed = [status.graft for status in self.group(group) if status.state is not State.NOT_NEEDED]
        changed = [self._changed(graft.name, state, reason) for graft in needed]
        if any(changed):
            self._say(group, state, reason, needed[0].without)

    def _changed(self, name: str, state: State, reason: str) -> bool:
        before, now = self._statuses[name], Status(self._statuses[name].graft, state, reason)
        self._statuses[name] = now
        if before != now:
            self.told(now)
        return before != now

    def _say(self, name: str, state: State, reason: str, without: str) -> None:
        level = {State.TAKEN_OUT: logging.ERROR, State.STANDS_ASIDE: logging.WARNING}.get(state)
        if level is not None:
            log.log(level, "cancel_guard: %s: %s. Without it, %s", f"{name} {state.value}", reason, without)

    def statuses(self) -> list[Status]:
        """Return how each stands, in the order of their declaration."""
        return list(self._statuses.values())

    def missing(self) -> dict[str, str]:
        """Return of each by which something is lost how it stands."""
        return {status.graft.name: str(status) for status in self.statuses() if status.missing}

    def of(self, name: str) -> Status:  # noqa: D102 - as its name says
        return self._statuses[name]

    def group(self, name: str) -> list[Status]:
        """Return how the grafts of that group stand."""
        return [status for status in self._statuses.values() if status.graft.group == name]

    def fault(self, graft: Graft, error: BaseException) -> None:
        """Count a fault of *graft*; those of several requests and keys within a minute take its group out.

        One client whose requests all meet a fault takes nothing from the others.
        """
        log.error("cancel_guard: a fault in %s; the request goes on as LiteLLM serves it", graft.name, exc_info=error)
        now, met = time.monotonic(), self._faults.setdefault(graft.group, deque(maxlen=4 * _FAULTS))
        met.append((now, self.who()))
        recent = {who for at, who in met if now - at < _FAULT_SECONDS}
        if len(recent) >= _FAULTS and self._statuses[graft.name].state is State.IN_FORCE:
            met.clear()
            reason = f"{type(error).__name__} in {graft.name}, met by {len(recent)} requests"
            self.takes_out(graft.group, reason)


def has_methods(owner: Any, *names: str) -> bool:
    """Tell whether *owner* has all of them; what is missing is not there to be changed.

    Raises:
        NotFoundError: one is there and is no method, a property, say: what LiteLLM goes by is not known then.
    """
    found = {name: getattr(owner, name, None) for name in names}
    if None in found.values():
        return False
    for name, method in found.items():
        if not callable(method):
            raise NotFoundError(f"{_named(owner)}.{name} is no method here")
    return True


def is_grafted(owner: Any, name: str) -> bool:
    """Tell whether a graft is in force on *owner*'s attribute *name*, be it of another copy of the guard."""
    touch = getattr(getattr(owner, name, None), _MARK, None)
    return isinstance(touch, Touch) and touch.in_force


def _is_static(owner: Any, name: str) -> bool:
    return inspect.isclass(owner) and isinstance(inspect.getattr_static(owner, name), staticmethod)


def _is_of_another(method: Any, owner: Any, name: str) -> bool:
    """Tell whether *owner* stands around what LiteLLM calls: set on it, an attribute would be nobody's."""
    inner = getattr(method, "__self__", owner)
    # A class method is its class's own, whichever object is asked (`_get_reserved_tokens_from_kwargs`, 1.86 - 1.94).
    own = inner is owner or inspect.isclass(owner) or (inspect.isclass(inner) and isinstance(owner, inner))
    return not own and getattr(inner, name, None) == method


def _named(owner: Any) -> str:
    return getattr(owner, "__name__", None) or type(owner).__name__
