"""A declared touch of the host as data, and how it stands: a closed set."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class State(str, Enum):
    """Whether a graft does what it is for; log field, command line and metric label alike."""

    IN_FORCE = "in force"
    NOT_NEEDED = "not needed"
    STANDS_ASIDE = "stands aside"
    TAKEN_OUT = "taken out"


@dataclass(frozen=True)
class Graft:
    """One declared touch of the host.

    Attributes:
        name: the same in the log, in ``doctor``, in ``status`` and in the metric.
        group: grafts that are only right together stand or fall together.
        without: what an operator loses where it is not in force.
        facts: the numbers of what it leans on, in ``host/facts.py``.
    """

    name: str
    group: str
    without: str
    facts: tuple[str, ...] = ()


# What a graft is put into is made when a request comes: nothing is lost by it until then.
NOT_YET = "not attached yet: no request has come"


@dataclass(frozen=True)
class Status:
    """How a graft stands; *reason* is empty where it is in force."""

    graft: Graft
    state: State
    reason: str = ""

    @property
    def missing(self) -> bool:
        """Whether something is lost by it."""
        return self.state in (State.STANDS_ASIDE, State.TAKEN_OUT) and self.reason != NOT_YET

    def __str__(self) -> str:
        return f"{self.state.value}: {self.reason}" if self.reason else self.state.value
