"""What a guarded proxy may do differently, each with its reason; everything else is a fault of the guard's.

An allowance covers one difference of one request, and says no more than it must: no words of an answer may be lost,
no event, and no token that bare LiteLLM counts for a request that did not fail.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from tests.difference import covers
from tests.difference.compare import Difference, Pair, differences, team_tokens

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tests.difference.play import Side


@dataclass(frozen=True)
class Allowance:
    """A difference that is wanted, or that no guard can help."""

    name: str
    channels: tuple[str, ...]
    reason: str
    covers: Callable[[Difference, Pair], bool]


ALLOWED = (
    Allowance(
        "words",
        ("body",),
        "An error says what the provider said, without LiteLLM's names of classes and its advice to the operator.",
        covers.own_words,
    ),
    Allowance(
        "status",
        ("status", "headers", "body"),
        "What fails before its first content, or as its connection breaks, is a plain answer with the right status.",
        covers.own_status,
    ),
    Allowance(
        "retry-after",
        ("headers",),
        "The provider's Retry-After reaches the client; LiteLLM loses it.",
        covers.retry_after,
    ),
    Allowance(
        "last event",
        ("body",),
        "A stream that fails ends in an error of its protocol, with the provider's status and words.",
        covers.last_event,
    ),
    Allowance(
        "told as failed",
        ("told",),
        "A stream that failed is reported as one, once, with the provider's status.",
        covers.told_as_failed,
    ),
    Allowance(
        "not billed",
        ("redis",),
        "LiteLLM counts no tokens of a failed stream for whoever has none reserved; bare took this one for whole.",
        covers.not_billed,
    ),
    Allowance(
        "refunded twice",
        ("redis",),
        "Bare LiteLLM (1.86 - 1.109) gives back what it reserved for a failed request in its failure hook and in its "
        "failure event: each looks whether the other has, and then waits for Redis. What a broken stream has used "
        "(told since 1.101.6) each puts in the reservation's place.",
        covers.refunded_twice,
    ),
    Allowance(
        "never refunded",
        ("redis",),
        "Bare LiteLLM keeps what it reserved for a stream whose failure nobody reports to it.",
        covers.never_refunded,
    ),
    Allowance(
        "reserved twice",
        ("redis",),
        "LiteLLM (1.86 - 1.109) reserves twice of what a team may use of a model, and gives back once in its log "
        "events: both have as much more than of the team itself, or the guarded one has as much as of that.",
        covers.reserved_twice,
    ),
    Allowance(
        "told late",
        ("headers",),
        "Bare LiteLLM, too, has the cost of a Bedrock pass-through or a native Gemini answer in its headers only where "
        "its logging was faster (1.88.6, 1.98.1, 1.101.6: one key's answer had it, the other's not).",
        covers.told_late,
    ),
    Allowance(
        "unbuffered",
        ("headers",),
        "nginx is told to hand a stream on as it comes: LiteLLM says so of none that it passes through, and up to 1.88 "
        "of none at all.",
        covers.unbuffered,
    ),
    Allowance(
        "broken off",
        ("status",),
        "A stream that bare LiteLLM breaks off in the middle ends as a whole, in an error.",
        covers.broken_off,
    ),
    Allowance(
        "one chunk more",
        ("told", "redis"),
        "What opens a stream is held back until its first content is there: for a client that left before it, one "
        "chunk more has come, and is counted.",
        covers.one_chunk_more,
    ),
    Allowance(
        "leaves unnamed",
        ("told",),
        "The stream is closed as soon as its client leaves, and LiteLLM notes who left behind that: on "
        "/v1/messages to Anthropic the event has been written by then (1.103 - 1.110).",
        covers.leaves_unnamed,
    ),
    Allowance(
        "no window",
        ("redis",),
        "Up to 1.93 LiteLLM counts slots in a window of a minute; the guard counts them without one.",
        covers.no_window,
    ),
    Allowance(
        "fallback runs",
        ("provider", "body"),
        "A failure that bare LiteLLM takes for the end of a stream is one that its fallback is for.",
        covers.fallback_runs,
    ),
    Allowance(
        "the guard's error",
        ("log",),
        "The guard's own name for a stream that failed.",
        lambda difference, _: difference.where == "ProviderStreamError",
    ),
)


def judged(bare: Side, guarded: Side) -> list[Difference]:
    """Every difference between two sides that have been played; of each that is allowed, the allowance's name."""
    teams = team_tokens(bare, guarded)

    def allowance(found: Difference) -> str | None:
        return _allowance(found, Pair.of(found.case, bare, guarded, teams.get(found.case, (0, 0))))

    return [replace(found, allowed=allowance(found)) for found in differences(bare, guarded)]


def never_used(found: Iterable[Difference]) -> list[str]:
    """The allowances that none of those differences needed."""
    used = {difference.allowed for difference in found}
    return [allowance.name for allowance in ALLOWED if allowance.name not in used]


def _allowance(found: Difference, pair: Any) -> str | None:
    for allowance in ALLOWED:
        if (
            found.channel in allowance.channels
            and (found.case or found.channel == "log")
            and allowance.covers(found, pair)
        ):
            return allowance.name
    return None
