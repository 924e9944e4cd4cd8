"""How the slots of a gauge lie in Redis: which script, which keys, which arguments."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from litellm_cancel_guard.gauge.keys import Keys, raw
from litellm_cancel_guard.gauge.scripts import Script, load, load_followed

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from litellm_cancel_guard.lease.lease import FollowUp, Lease

# LiteLLM's PARALLEL_REQUEST_SLOT_TTL_SECONDS and LITELLM_RATE_LIMIT_WINDOW_SIZE.
HORIZON_SECONDS = 3600.0
WINDOW_SECONDS = 60.0

# Gauges whose keys are spelled once.
_KEYS_KEPT = 1024

NOT_OURS = "Something else wrote it: find out what, then delete the key."


@dataclass(frozen=True, slots=True)
class KeyKind:
    """What a key must hold, and what to do if it does not.

    Attributes:
        expected: the type as Redis' ``TYPE`` names it.
        advice: for each other type that has a known cause, what to do.
        content: what a text there must be, as the scripts' errors call it.
    """

    expected: str
    advice: tuple[tuple[str, str], ...] = ()
    content: str | None = None

    def remedy(self, found: str) -> str:
        """Return what an operator should do about a key of type *found*."""
        return dict(self.advice).get(found, NOT_OURS)


@dataclass(frozen=True, slots=True)
class Call:
    """One run of a script.

    Attributes:
        kinds: what keys beside those of the layout must hold; it goes before what the layout says.
    """

    script: Script
    keys: tuple[str, ...]
    args: tuple[str | int | float, ...]
    kinds: tuple[tuple[str, KeyKind], ...] = ()


def followed(acquire: Call, by: FollowUp) -> Call:
    """Return the call that does what *acquire* does and, if the slot was given, what *by* says."""
    keys, args = acquire.keys, acquire.args
    script = load_followed(acquire.script, by.text)
    return Call(script, (*keys, *by.keys), (len(keys), len(args), *args, *by.args), acquire.kinds)


@dataclass(frozen=True, slots=True)
class Layout:
    """Where slots are kept, and the scripts that keep them.

    Attributes:
        name: ``slots`` or ``counted``; the scripts are named after it.
        span_seconds: what LiteLLM itself forgets after: the age of a slot, or
            the length of a window.
        horizon_seconds: subtracted from the time a lease lapses to get its score.
        kinds: what each key must hold, in the order of the scripts' KEYS, as
            far as a script reads or writes what is in it.
        keys_of: the keys of a gauge, in that order; the slots come first.
        record_of: the key of a worker's record, by the worker's name.
        line_of: the keys of the line before a gauge, in the order of its scripts' KEYS.
        channel_of: returns how the channels begin on which workers are told of slots; asked for when it is needed: the
            host's function may fail.
        foreign: what its scripts' error says where LiteLLM's key is kept in another layout.
        beyond: the other layout, of a LiteLLM on the other side of 1.94, while an upgrade rolls out. A key that has
            slots stays in the layout in which it began; one that has none is gone.
    """

    name: str
    span_seconds: float
    horizon_seconds: float
    kinds: tuple[KeyKind, ...]
    keys_of: Callable[[str], tuple[str, ...]]
    record_of: Callable[[str], str]
    line_of: Callable[[str], tuple[str, ...]]
    channel_of: Callable[[], str]
    foreign: str
    beyond: Layout | None = None

    def is_foreign(self, error: object) -> bool:
        """Tell whether *error* may mean that LiteLLM's key is kept in the other layout, and nothing was written."""
        return isinstance(error, Exception) and self.foreign in str(error)

    def acquire(self, lease: Lease, limit: int, lease_seconds: float) -> Call:
        """Return the call that takes a slot; it answers ``[admitted, in flight, lapsed]``."""
        return self._call("acquire", lease.gauge, lease_seconds, limit, lease.id)

    def release(self, lease: Lease) -> Call:
        """Return the call that gives a slot back; it answers ``[in flight, lapsed]``."""
        return self._call("release", lease.gauge, lease.id)

    def renew(self, gauge: str, ids: Sequence[str], lease_seconds: float) -> Call:
        """Return the call that renews *ids*; it answers ``[lapsed, positions from 1 of those not held]``."""
        return self._call("renew", gauge, lease_seconds, *ids)

    def count(self, gauge: str) -> Call:
        """Return the call that answers the slots in flight."""
        return self._call("count", gauge)

    def listing(self, gauge: str) -> Call:
        """Return the call that answers ``[id, milliseconds left, id, …]``."""
        return Call(load("list"), self.keys_of(gauge)[:1], (self.horizon_seconds,))

    def _call(self, step: str, gauge: str, *args: str | float) -> Call:
        return Call(load(f"{self.name}_{step}"), self.keys_of(gauge), (self.span_seconds, *args))


def slots_layout(*, horizon_seconds: float = HORIZON_SECONDS, namespaced: Callable[[str], str] = raw) -> Layout:
    """Return the layout of LiteLLM 1.94 and newer: LiteLLM's own sorted set of slots, shared with it.

    Args:
        horizon_seconds: LiteLLM drops a slot whose score is this old.
        namespaced: LiteLLM's ``check_and_fix_namespace``.
    """
    keys = Keys(namespaced)
    upgraded = (
        "A LiteLLM older than 1.94 counted there. Once no such worker runs, the key ends by itself "
        "within a minute; delete it if it does not."
    )
    return Layout(
        name="slots",
        span_seconds=horizon_seconds,
        horizon_seconds=horizon_seconds,
        kinds=(KeyKind("zset", (("string", upgraded),)),),
        keys_of=lru_cache(_KEYS_KEPT)(lambda gauge: (keys.limiter_count(gauge),)),
        record_of=keys.worker,
        line_of=lru_cache(_KEYS_KEPT)(keys.line),
        channel_of=keys.channel,
        foreign="WRONGTYPE",
    )


def counted_layout(*, window_seconds: float = WINDOW_SECONDS, namespaced: Callable[[str], str] = raw) -> Layout:
    """Return the layout of LiteLLM 1.80 to 1.93: the guard's own slots, and LiteLLM's number as their mirror.

    Args:
        window_seconds: LiteLLM's window; what unguarded workers count is
            forgotten this long after it last rose.
        namespaced: LiteLLM's ``check_and_fix_namespace``, in the versions whose
            scripts apply it (1.91 and newer).
    """
    keys = Keys(namespaced)
    downgraded = (
        "A LiteLLM of 1.94 or newer keeps its slots there; two such versions cannot share a Redis. "
        "Once no newer worker runs, delete the key."
    )
    return Layout(
        name="counted",
        span_seconds=window_seconds,
        horizon_seconds=0.0,
        kinds=(
            KeyKind("zset"),
            KeyKind("string", content="book of the guard"),
            KeyKind("string", (("zset", downgraded),), content="number"),
        ),
        keys_of=lru_cache(_KEYS_KEPT)(
            lambda gauge: (
                keys.slots(gauge),
                keys.mirror(gauge),
                keys.limiter_count(gauge),
                keys.limiter_window(gauge),
                keys.limiter_requests(gauge),
                keys.limiter_tokens(gauge),
            )
        ),
        record_of=keys.worker,
        line_of=lru_cache(_KEYS_KEPT)(keys.line),
        channel_of=keys.channel,
        foreign="holds slots of a newer LiteLLM",
    )
