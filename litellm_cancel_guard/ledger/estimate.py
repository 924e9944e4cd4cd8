"""How long a refused caller should wait: seconds in, whole seconds out. Nothing here knows a clock or a key.

A client with few tries decides what is good enough: Codex (0.171) obeys the header exactly, asks five times more, and
then ends its session. So each wait is long enough that most come back to a free slot. Where nothing is known, it grows
with the age of what holds the slots, which all workers see: five waits outlast a holder of a minute that began with the
first refusal, whichever workers a client meets.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

# Older SDKs of OpenAI and Anthropic come back within seconds where they are told a minute, in JavaScript, or more, in
# Python (npm openai 4 - 6.20 and @anthropic-ai/sdk 0.39 - 0.71, client.js; PyPI openai 1 - 2, _base_client.py): told
# 60, qwen-code 0.24.4 was back in 1.5 s.
MOST_SECONDS = 59
# Of each wait, this share more at most: those who were refused together come back apart.
_SPREAD = 0.25
# How probably one of the slots is to be free when the caller is back.
_CHANCE = 0.75
# Of a slot that is older than all that were seen, or where none was: so many times its age it will be held on. Played
# with holders of a minute and a client that meets several workers, 1 loses three sessions in ten, 1.5 one in a hundred.
_OLDER = 2.0
# How long a slot is held where nothing is known at all. It is what the wait of a caller who is refused again and again
# grows by: 3, 9, 21, 45 s.
UNKNOWN_SECONDS = 3.0
_MOST_DOUBLINGS = 16
# Who loses slots of a fifth of a second seven times in a row has bad luck, and would leave them idle for seven seconds.
_MOST_TURNS = 8

_GOLDEN = (math.sqrt(5) - 1) / 2


def until_free(ages: Sequence[float], held: int, lasted: Sequence[float], ahead: int = 0) -> float:
    """Return the seconds until a slot is probably free for a caller who lets *ahead* others go first.

    Never negative; not shorter for more *ahead*.

    Args:
        ages: how long slots have been held, of those known; seconds.
        held: all slots in flight, at least one.
        lasted: how long slots were held that have come back, in any order; seconds.
        ahead: callers who come back before.
    """
    known = sorted(lasted)
    unknown = max(0, held - len(ages))
    lasts = _typical(ages, known)
    share = 1 - (1 - _CHANCE) ** (1 / max(1, held))
    left = [_remaining(max(0.0, age), known, share) for age in ages]
    left += [lasts * (number + 1) / (unknown + 1) for number in range(unknown)]
    left.sort()
    rounds, place = divmod(max(0, ahead), len(left))
    return min(left[place], left[0] + lasts) + rounds * lasts


def patience(refusals: int, held: int, lasted: Sequence[float]) -> float:
    """Return the least wait, in seconds, of a caller who was refused *refusals* times in a row, this one included.

    That is none for the first; then as long as a slot takes to come free, and from then on it more than doubles, up to
    the time of so many turns at a slot.
    """
    grown = 2.0 ** min(max(0, refusals - 1), _MOST_DOUBLINGS) - 1
    if not lasted:
        return UNKNOWN_SECONDS * grown
    return median(lasted) * min(_MOST_TURNS, grown / max(1, held))


def whole_seconds(wait: float, number: int) -> int:
    """Return *wait* seconds as a header says them: from 1 to `MOST_SECONDS`, at least *wait* below the spread's reach.

    Args:
        wait: seconds.
        number: of the refusal; those of numbers close to each other lie far apart.
    """
    least = min(max(0.0, wait), MOST_SECONDS / (1 + _SPREAD))
    spread = least * _SPREAD * (number * _GOLDEN % 1)
    # Rounded first: what is 2 s but for the last bit of a sum is not 3.
    return min(MOST_SECONDS, max(1, math.ceil(round(least + spread, 6))))


def _remaining(age: float, known: Sequence[float], share: float) -> float:
    longer = known[bisect_left(known, age) :]
    if not longer:
        return _OLDER * age
    return longer[max(0, math.ceil(share * len(longer)) - 1)] - age


def _typical(ages: Sequence[float], known: Sequence[float]) -> float:
    if known:
        return median(known)
    return (1 + _OLDER) * median(ages) if ages else UNKNOWN_SECONDS
