"""The differences between what a bare and a guarded proxy did with the same requests, as data."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from tests.difference import normal
from tests.difference.play import raised_in_the_log

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.difference.cases import Case
    from tests.difference.play import Seen, Side

# Both sides write a key within a few seconds of each other, on a busy machine.
_TTL_TOLERANCE = 30
_WINDOW = ":window"
_TEAM = "{team:team-ID}:tokens"
# LiteLLM calls hooks in the request's task and log events in a worker of its own, behind it or before: which of them
# are told first differs from one request to the next.
SOURCES = {"hooks": ("pre_call", "success_hook", "failure_hook"), "log events": ("success", "failure")}
# What of a Redis key's name may be a key's hash, or the word in the names of its user and team.
_WORDS = re.compile(r"[0-9a-f]{64}|[0-9a-f]{16}")
# The slots themselves, LiteLLM's and the guard's, and the guard's workers.
_SLOTS = (":max_parallel_requests", "cancel_guard:")


@dataclass(frozen=True)
class Difference:
    """One thing that the two proxies did differently.

    Attributes:
        case: the request, or None for what belongs to none of them.
        channel: `status`, `headers`, `body`, `provider`, `told`, `redis` or `log`.
        where: the name of the header or of the key in Redis; else empty.
        allowed: the name of the allowance that covers it, or None.
    """

    case: Case | None
    channel: str
    where: str
    bare: Any
    guarded: Any
    allowed: str | None = None

    @property
    def counts_tokens(self) -> bool:
        return self.channel == "redis" and self.where.endswith(":tokens")

    @property
    def more(self) -> int:
        """By how much more the guarded one has counted."""
        return counted(self.guarded) - counted(self.bare)

    def as_json(self) -> dict[str, Any]:
        return {**asdict(self), "case": str(self.case)}

    def __str__(self) -> str:
        place = f"{self.case} {self.channel} {self.where}".rstrip()
        return f"{place}\n    bare:    {_shown(self.bare)}\n    guarded: {_shown(self.guarded)}"


def counted(entry: Any) -> int:
    """What a counter in Redis says; 0 where there is none."""
    return int(entry["value"]) if entry else 0


def _shown(value: Any) -> str:
    if isinstance(value, tuple):
        return "".join(f"\n      {line}" for line in value) or "nothing"
    said = repr(value)
    return said if len(said) < 1500 else f"{said[:700]} … {said[-700:]}"


@dataclass(frozen=True)
class Pair:
    """What the two proxies did with one case.

    Attributes:
        team: the tokens that each has counted of the key's team.
    """

    case: Case
    bare: Seen
    guarded: Seen
    team: tuple[int, int]

    @classmethod
    def of(cls, case: Case | None, bare: Side, guarded: Side, team: tuple[int, int]) -> Any:
        """Nothing for what belongs to no case."""
        return None if case is None else cls(case, bare.seen[case], guarded.seen[case], team)


def differences(bare: Side, guarded: Side) -> list[Difference]:
    """All of them, none allowed yet."""
    found: list[Difference] = []
    for case, one in bare.seen.items():
        found += _of_a_case(case, one, guarded.seen[case])
    found += _in_redis(bare, guarded)
    told = (_told_of_others(side) for side in (bare, guarded))
    found += _unequal(None, "told", "", *told)
    raised = [raised_in_the_log(side.proxy) for side in (bare, guarded)]
    found += [Difference(None, "log", name, None, name) for name in sorted(raised[1] - raised[0])]
    return found


def _of_a_case(case: Case, bare: Seen, guarded: Seen) -> Iterator[Difference]:
    sides = (bare, guarded)
    yield from _unequal(case, "status", "", *((seen.status, seen.end) for seen in sides))
    one, other = (normal.headers(seen.headers, seen.key) for seen in sides)
    for name in sorted({*one, *other}):
        yield from _unequal(case, "headers", name, one.get(name), other.get(name))
    yield from _unequal(case, "body", "", *(normal.text(seen.body, seen.key) for seen in sides))
    yield from _unequal(case, "provider", "", *(seen.asked for seen in sides))
    for source, events in SOURCES.items():
        told = (
            tuple(normal.event(event, seen.key) for event in seen.told if event["event"] in events) for seen in sides
        )
        yield from _unequal(case, "told", source, *told)


def team_tokens(bare: Side, guarded: Side) -> dict[Case | None, tuple[int, int]]:
    """What each has counted of the tokens of a team, by case."""
    one, other = (_by_case(side) for side in (bare, guarded))
    teams = {place for place in (*one, *other) if place[1] == _TEAM}
    return {place[0]: (counted(one.get(place)), counted(other.get(place))) for place in teams}


def _unequal(case: Case | None, channel: str, where: str, bare: Any, guarded: Any) -> Iterator[Difference]:
    if bare != guarded:
        yield Difference(case, channel, where, bare, guarded)


def _told_of_others(side: Side) -> tuple[str, ...]:
    """Sorted: nothing says which of them belongs to which request."""
    warm = side.warm.key.name if side.warm else None
    events = (event for key, all_of_it in side.told.items() if key != warm for event in all_of_it)
    return tuple(sorted(normal.event(event, None) for event in events))


def _in_redis(bare: Side, guarded: Side) -> Iterator[Difference]:
    one, other = (_by_case(side) for side in (bare, guarded))
    for place in sorted({*one, *other}, key=str):
        if not _same(one.get(place), other.get(place)):
            yield Difference(place[0], "redis", place[1], one.get(place), other.get(place))


def _same(bare: dict[str, Any] | None, guarded: dict[str, Any] | None) -> bool:
    if bare is None or guarded is None:
        return False
    lives = bare["lives"], guarded["lives"]
    alike = lives[0] == lives[1] or (min(lives) > 0 and abs(lives[0] - lives[1]) <= _TTL_TOLERANCE)
    return alike and {**bare, "lives": 0} == {**guarded, "lives": 0}


def _by_case(side: Side) -> dict[tuple[Case | None, str], dict[str, Any]]:
    """What is stored, by whose it is; the slots are left out."""
    owners = {
        word: (case, seen.key) for case, seen in side.seen.items() for word in (seen.key.key.name, seen.key.ident)
    }
    found: dict[tuple[Case | None, str], dict[str, Any]] = {}
    warm = (side.warm.key.name, side.warm.ident) if side.warm else ()
    for name, entry in side.stored.items():
        if any(word in name for word in (*_SLOTS, *warm)):
            continue
        words = [word for word in _WORDS.findall(name) if word in owners]
        case, key = owners[words[0]] if words else (None, None)
        kept = {**entry, "value": "TIME"} if name.endswith(_WINDOW) else entry
        place = normal.stored_name(name, key)
        if entry["type"] != "none" and not normal.PASSING.search(place):
            found[case, place] = kept
    return found
