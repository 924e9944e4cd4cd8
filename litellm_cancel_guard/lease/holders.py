"""Who holds a worker's slots, and whom it has refused because of whom: for those who look, beside its record.

Written with each beat, and no request waits for it. Bounded; nothing in it is a prompt, a header or a key.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from litellm_cancel_guard.redaction.plain import plain

if TYPE_CHECKING:
    from collections.abc import Sequence

# Of more slots the others are left out, and counted.
MOST_SLOTS = 500
# Of more refusals the last are kept, each with so many of those who stood in its way.
MOST_REFUSALS, MOST_IN_THE_WAY = 100, 32
REFUSALS_KEPT_SECONDS = 900.0
# Enough to tell the agents of a key apart.
AGENT_DIGITS = 8
# A client may choose its call id and its model's name.
_LONGEST = 128


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds a slot.

    Attributes:
        model: as the client has named it.
        call_id: LiteLLM's, as in the header ``x-litellm-call-id``.
        path: as the client has asked.
        agent: a hash of what a client calls the agent or the end user that asks, with a key that the workers of a proxy
            share; empty for none.
        quiet: seconds for which no byte of a stream had come from its provider, to a beat; None where there is none.
        detail: what `holders_detail` asks for, by its names.
        waited: seconds for which it was in line before it had its slot, whose id says when it came.
    """

    model: str = ""
    call_id: str = ""
    path: str = ""
    agent: str = ""
    quiet: float | None = None
    detail: Mapping[str, str] = field(default_factory=dict)
    waited: float = 0.0


# What is kept of each request: model, call id and path as they came, and the detail.
About = tuple[Any, Any, Any, Mapping[str, str]]
NOBODY: About = (None, None, None, {})


@dataclass(frozen=True, slots=True)
class Refusal:
    """A request that was given no slot.

    Attributes:
        at: seconds since 1970.
        key: how the hash of the key begins.
        holders: the ids of the slots in its way, as many as are kept.
    """

    call_id: str
    at: float
    key: str
    limit: int
    in_flight: int
    holders: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Holding:
    """What a worker says of them.

    Attributes:
        holders: by the ids of their slots.
        left_out: how many slots more it holds.
        refusals: the last ones.
    """

    holders: Mapping[str, Holder] = field(default_factory=dict)
    left_out: int = 0
    refusals: Sequence[Refusal] = ()

    def text(self) -> str:
        """Return it as it lies in Redis."""
        # Not asdict, which copies every text of it: with all that may be kept, the event loop stood for 14 ms.
        return json.dumps(self, default=_fields, separators=(",", ":"))


def _fields(one: Any) -> dict[str, Any]:
    return {name: getattr(one, name) for name in one.__dataclass_fields__}


def shortened(said: Any) -> str:
    """Return *said* as it may be kept; nothing of what is no text."""
    if not isinstance(said, str):
        return ""
    return plain(said[:_LONGEST])


def read(text: str | bytes | None) -> Holding:
    """Return what a worker says; nothing where it says nothing, or what this version can't read."""
    try:
        said: Any = json.loads(text or "{}")
        holders = {str(slot): _holder(one) for slot, one in said.get("holders", {}).items()}
        refusals = tuple(map(_refusal, said.get("refusals", ())))
        return Holding(holders, int(said.get("left_out", 0)), refusals)
    except (AttributeError, KeyError, TypeError, ValueError):
        return Holding()


# Both are shown on a terminal, whoever has written them.
def _holder(said: Any) -> Holder:
    quiet, detail, waited = said.get("quiet"), said.get("detail", {}), float(said.get("waited", 0))
    return Holder(
        **{name: shortened(said.get(name)) for name in ("model", "call_id", "path", "agent")},
        # What is no number makes no JSON of the admin routes' answer.
        quiet=float(quiet) if quiet is not None and math.isfinite(float(quiet)) else None,
        detail={shortened(name): shortened(told) for name, told in detail.items()},
        waited=waited if math.isfinite(waited) else 0.0,
    )


def _refusal(said: Any) -> Refusal:
    return Refusal(
        shortened(said["call_id"]),
        float(said["at"]),
        shortened(said["key"]),
        int(said["limit"]),
        int(said["in_flight"]),
        tuple(map(shortened, said["holders"])),
    )
