"""What a worker counts for those who have no Prometheus: by the hour, in Redis, for eight days."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

HOUR_SECONDS = 3600
KEPT_HOURS = 8 * 24

# What each is, as the command line says it.
COUNTERS = {
    "admitted": "requests of keys with a cap that were given a slot",
    "refused": "requests of keys with a cap that were given none",
    "client_left": "slots returned after the client had left",
    "unfinished": "slots of requests that neither finished nor failed: LiteLLM up to 1.89 alone loses them",
    "reclaimed": "slots of killed or cut-off workers that had lapsed",
    "ended_streams": "streams that were ended in an error",
    "killed": "requests that an operator has ended",
}


@dataclass(frozen=True, slots=True)
class Hour:
    """What was counted in one hour, by the names of `COUNTERS`.

    Attributes:
        began: seconds since 1970.
    """

    began: int
    counted: Mapping[str, int]
