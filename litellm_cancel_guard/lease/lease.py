"""What is held and why it ended: data and closed sets, no I/O."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any

from litellm_cancel_guard.lease.slotname import new_slot_id


class Ending(str, Enum):
    """Why a request ended; return value, log field and metric label alike."""

    COMPLETED = "completed"
    CLIENT_LEFT = "client_left"
    PROVIDER_FAILED = "provider_failed"
    REFUSED = "refused"
    TASK_ENDED = "task_ended"
    LAPSED = "lapsed"
    KILLED = "killed"
    DRAINED = "drained"


class Parting(str, Enum):
    """How a wait in line ended; metric label, too. Of one that is ``full`` there was none."""

    SERVED = "served"
    TIMED_OUT = "timed_out"
    LEFT = "left"
    FULL = "full"
    REDIS_AWAY = "redis_away"


# Of all that name nobody, and of all that come when as many classes wait as are kept apart.
UNNAMED, REST = "0" * 16, "f" * 16


def class_of(caller: int, turns: int = 1) -> str:
    """Return the class of *caller*, a number of 64 bits, that has so many *turns* in a round, 1 to 16.

    That is 16 hex digits; of more turns than one, `g` to `u` for the last: to a guard that knows of one alone, it is a
    class like any.
    """
    digits = f"{caller:016x}"
    return digits if turns == 1 else digits[:-1] + chr(ord("e") + turns)


def turns_of(of: str) -> int:
    """Return how many turns the class *of* has in a round."""
    return max(1, ord(of[-1]) - ord("e"))


@dataclass(frozen=True, slots=True)
class Turn:
    """How a request waits for a slot where its key is full.

    Attributes:
        most: how many may wait for a slot of its gauge.
        of: for whom it waits, of `class_of`: those of one are served in the order in which they came, and all in turn.
        place: what it was given; empty until then.
    """

    most: int
    of: str = UNNAMED
    place: str = ""


@dataclass(frozen=True, slots=True)
class Lease:
    """A hold on one slot of one gauge, for as long as it is renewed.

    Attributes:
        gauge: what is limited, as LiteLLM writes it between the braces of its
            Redis keys: ``api_key:<hash>``.
        id: names this hold and no other, in every worker; made before the first await of an acquire.
        turn: how it waits in line for its slot; None where there is no line. Its slot is given back to the next in it.
    """

    gauge: str
    id: str = field(default_factory=new_slot_id)
    turn: Turn | None = field(default=None, compare=False)

    @classmethod
    def new(cls, gauge: str, route: str, turn: Turn | None = None) -> Lease:
        """Return a lease whose id says *route* too."""
        return cls(gauge, new_slot_id(route), turn)

    def at(self, place: str) -> Lease:
        """Return the same lease, knowing its *place* in line."""
        return self if self.turn is None else replace(self, turn=replace(self.turn, place=place))


@dataclass(frozen=True, slots=True)
class FollowUp:
    """A script that Redis runs in the same call as an acquire, if that gives the slot.

    Attributes:
        text: what EVAL takes.
        keys: as Redis has them, all in the hash slot of the gauge.
        args: its arguments.
    """

    text: str
    keys: tuple[str, ...]
    args: tuple[str | int | float, ...]


@dataclass(frozen=True, slots=True)
class Admission:
    """The answer to an acquire.

    Attributes:
        admitted: whether the lease now holds a slot.
        in_flight: slots held after the answer, this one included if admitted.
        followed: what its follow-up answered, or the error that it met; None where it did not run.
        holders: where it was refused, the ids of the slots in its way, as far as they are known.
        retry_after: where it was refused, the whole seconds after which to ask again.
        place: where it waits in line, its place there; empty where it does not.
        waiting: how many wait then, with it.
        counted: whether the slots in flight were; not where ``on_redis_error`` has decided.
    """

    admitted: bool
    in_flight: int
    followed: Any = None
    holders: tuple[str, ...] = field(default=(), compare=False)
    retry_after: int = field(default=0, compare=False)
    place: str = field(default="", compare=False)
    waiting: int = field(default=0, compare=False)
    counted: bool = field(default=True, compare=False)


class CountUnknownError(Exception):
    """The slots in flight could not be counted, and the operator chose ``on_redis_error: closed``.

    Attributes:
        retry_after: whole seconds after which to ask again.
    """

    def __init__(self, gauge: str, retry_after: int) -> None:
        super().__init__(gauge)
        self.retry_after = retry_after
