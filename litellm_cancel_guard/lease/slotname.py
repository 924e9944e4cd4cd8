"""A slot's id, which says who took it: that needs no record of its own, and so costs an acquire nothing.

``<worker>.<milliseconds since 1970, hex>.<number, hex>.<route>``: under 64 bytes, above which Redis keeps a sorted set
in another way that takes several times the memory (``zset-max-listpack-value``).
"""

from __future__ import annotations

import itertools
import os
import re
import secrets
import time
from dataclasses import dataclass

_ROUTE_LENGTH = 24
_NAME = re.compile(r"(?P<worker>[0-9a-f]{12})\.(?P<since>[0-9a-f]{9,12})\.[0-9a-f]{1,12}\.(?P<route>\w{0,24})")

_numbers = itertools.count(1)
_worker: tuple[int, str] = (0, "")


@dataclass(frozen=True, slots=True)
class SlotName:
    """What an id says.

    Attributes:
        worker: names the process that took the slot; see `worker_name`.
        since: when it was asked for, in seconds since 1970 on that worker's clock.
        route: LiteLLM's call type, perhaps cut.
    """

    worker: str
    since: float
    route: str


def worker_name() -> str:
    """Return the name of this process, which no other has; a fork of it gets one of its own."""
    global _worker  # noqa: PLW0603 - one for the process, asked for with every request
    if _worker[0] != os.getpid():
        _worker = os.getpid(), secrets.token_hex(6)
    return _worker[1]


def new_slot_id(route: str = "") -> str:
    """Return an id that no other slot will have, in this worker or another."""
    said = re.sub(r"\W", "_", route, flags=re.ASCII)[:_ROUTE_LENGTH]
    return f"{worker_name()}.{int(time.time() * 1000):x}.{next(_numbers):x}.{said}"


def read(slot_id: str) -> SlotName | None:
    """Return what *slot_id* says; None for those of LiteLLM's own slots and of older guards."""
    said = _NAME.fullmatch(slot_id)
    return SlotName(said["worker"], int(said["since"], 16) / 1000, said["route"]) if said else None
