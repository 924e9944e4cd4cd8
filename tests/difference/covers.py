"""What each allowance covers: told of one difference, and of all that both proxies did with that request."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from tests.difference.compare import counted
from tests.harness.provider.script import word

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.difference.compare import Difference, Pair

# What is told of a connection that broke.
CUT = (
    "The provider's stream ended before it was complete.",
    "The provider closed the connection before it had answered.",
)
_BROKEN_OFF, _SERVER_ERROR = 503, 500
# Of a stream, and not of an answer that is an error.
_FRAMING = {"cache-control", "content-length", "content-type", "transfer-encoding", "x-accel-buffering"}
_DATA = re.compile(r"^data: (.*)$", re.MULTILINE)
_COSTS = ("x-litellm-response-cost", "x-litellm-key-spend")
# What LiteLLM counts of a chunk that came before a client was seen to have left.
_CHUNK_TOKENS = 3


def own_words(difference: Difference, pair: Pair) -> bool:
    """Both are an error alike, but for its words and the name of its kind."""
    bare, guarded = (_error(body) for body in (difference.bare, difference.guarded))
    if bare is None or guarded is None or not pair.case.act.provider_fails:
        return False
    rest = [
        {name: value for name, value in error.items() if name not in ("message", "type")} for error in (bare, guarded)
    ]
    return _tells(guarded["message"], pair) and (rest[0] == rest[1] or pair.bare.status != pair.guarded.status)


def own_status(difference: Difference, pair: Pair) -> bool:
    """An answer with the provider's status, where bare LiteLLM has begun a stream or says another number."""
    act, told = pair.case.act, _error(pair.guarded.body)
    # Up to 1.81 a stream to Gemini is not asked for again, whatever retries its client wants.
    fails = act.fails or (act.provider_fails if pair.bare.status >= _SERVER_ERROR else 0)
    answers = act.stream or act.fails == _BROKEN_OFF
    if not fails or not answers or act.begun or told is None or not _tells(told["message"], pair):
        return False
    right = pair.guarded.status in _statuses(fails) and pair.guarded.end == pair.bare.end == "whole"
    worse = pair.bare.status == 200 or pair.bare.status >= _SERVER_ERROR
    return right and worse and (difference.channel != "headers" or difference.where in _FRAMING)


def retry_after(difference: Difference, pair: Pair) -> bool:
    # Where the provider names none, a client of the Responses API is told a while: Codex ends its session without.
    given = pair.case.act.script.get("retry_after") or (6 if pair.case.route.name.startswith("responses") else None)
    return difference.where == "retry-after" and difference.bare is None and difference.guarded == [str(given)]


def last_event(difference: Difference, pair: Pair) -> bool:
    """The same frames up to where the provider failed, and then an error, where bare has another one or none."""
    if not pair.case.act.fails or not pair.case.act.stream or pair.bare.status != pair.guarded.status:
        return False
    bare, guarded = _tails(difference.bare, difference.guarded)
    lost = any(word(index).strip() in bare for index in range(9))
    events = [json.loads(data) for data in _DATA.findall(guarded) if data != "[DONE]"]
    failed = bool(events) and all("error" in event or event.get("type") == "response.failed" for event in events)
    return not lost and failed and (_tells(guarded, pair) or _repeats(bare, events))


def told_as_failed(difference: Difference, pair: Pair) -> bool:
    """The same events with the same tokens and costs, but as those of a failure, with the provider's status.

    Of a failed stream LiteLLM counts nothing (1.80 - 1.83), or what came without its prompt (1.84 - 1.109,
    litellm_core_utils/streaming_handler.py `_record_partial_usage_for_failure`). Where a fallback runs that
    bare does not ask, each of the two has failed.
    """
    if not pair.case.act.provider_fails or not pair.case.act.stream:
        return False
    bare, guarded = ([json.loads(event) for event in events] for events in (difference.bare, difference.guarded))
    if difference.where == "hooks":
        return _without(bare, "failure_hook") == _without(guarded, "failure_hook") and _count(guarded) == max(
            1, _count(bare)
        )
    if len(bare) > len(guarded):
        return False
    billed = bare and any(event["event"] == "success" for event in bare)
    failed = guarded and guarded[-1]["event"] == "failure"
    usage = [(event["total_tokens"], event["response_cost"]) for event in guarded]
    same = usage == [(event["total_tokens"], event["response_cost"]) for event in bare]
    nothing = not any(tokens for tokens, _ in usage)
    answers = [
        [(event.get("prompt_tokens"), event.get("completion_tokens")) for event in events] for events in (bare, guarded)
    ]
    if pair.case.route.name == "fallback" and (pair.bare.asked, pair.guarded.asked) == (1, 2):
        answers[0] *= len(guarded)
    without_prompt = answers[1] == [(0, words) for _, words in answers[0]]
    return bool(failed) and (same or nothing or without_prompt) and (bool(billed) or not bare or same)


def not_billed(difference: Difference, pair: Pair) -> bool:
    """Bare LiteLLM took a failed stream for a whole one and counted its words; it counts none of those that failed."""
    if not difference.counts_tokens:
        return False
    told = [
        [event for event in seen.told if event["event"] in ("success", "failure")] for seen in (pair.bare, pair.guarded)
    ]
    taken_for_whole = any(event["event"] == "success" for event in told[0])
    failed = any(event["event"] == "failure" for event in told[1])
    tokens = sum(event["total_tokens"] for event in told[0])
    return bool(pair.case.act.fails) and taken_for_whole and failed and -difference.more == tokens


def refunded_twice(difference: Difference, pair: Pair) -> bool:
    """Bare has given back more than there was, or settled twice with what a failed stream had used before its end."""
    if not difference.counts_tokens:
        return False
    bare, guarded = counted(difference.bare), counted(difference.guarded)
    used, also_used = (_used_by_failures(seen.told) for seen in (pair.guarded, pair.bare))
    settled_twice = used == also_used == guarded < bare < 2 * used
    return bare < 0 <= guarded or (bool(pair.case.act.fails) and settled_twice)


def _used_by_failures(told: list[dict[str, Any]]) -> int:
    return sum(event.get("total_tokens") or 0 for event in told if event["event"] == "failure")


def never_refunded(difference: Difference, pair: Pair) -> bool:
    """The guard reports the failure, and LiteLLM gives back what it had reserved; it has told nobody of any token."""
    if not difference.counts_tokens or not pair.case.act.fails:
        return False
    nothing_told = not any(event.get("total_tokens") for seen in (pair.bare, pair.guarded) for event in seen.told)
    return nothing_told and counted(difference.bare) > 0 == counted(difference.guarded)


def reserved_twice(difference: Difference, pair: Pair) -> bool:
    """Of a team's model as much more is counted as of the team, where that is judged by itself, or as much."""
    if not (difference.counts_tokens and difference.where.startswith("{model_per_team:")):
        return False
    bare, guarded = pair.team
    return difference.more == guarded - bare or counted(difference.guarded) == guarded


def told_late(difference: Difference, pair: Pair) -> bool:
    return pair.case.route.name in ("pass_bedrock", "genai") and difference.where.startswith(_COSTS)


def unbuffered(difference: Difference, _: Pair) -> bool:
    said = (difference.where, difference.bare, difference.guarded)
    return said == ("x-accel-buffering", None, ["no"])


def broken_off(difference: Difference, pair: Pair) -> bool:
    """The same status, and an end where bare has none."""
    (bare, cut), (guarded, whole) = difference.bare, difference.guarded
    fails = pair.case.act.fails and pair.case.act.stream
    return bool(fails) and bare == guarded and (cut, whole) == ("broken off", "whole")


def one_chunk_more(difference: Difference, pair: Pair) -> bool:
    if pair.case.act.leaves != "first":
        return False
    bare, guarded = (
        sum(event.get("completion_tokens") or 0 for event in seen.told) for seen in (pair.bare, pair.guarded)
    )
    if difference.channel == "redis":
        return difference.counts_tokens and difference.more == guarded - bare
    usage = ("completion_tokens", "total_tokens", "response_cost")
    rest = [_dropped(events, usage) for events in (difference.bare, difference.guarded)]
    return rest[0] == rest[1] and 0 < guarded - bare <= _CHUNK_TOKENS


def leaves_unnamed(difference: Difference, pair: Pair) -> bool:
    """The event says the same, with the same tokens, but not that the client has left."""
    if not pair.case.act.leaves or difference.where != "log events":
        return False
    bare, guarded = (_dropped(events, ("error_str",)) for events in (difference.bare, difference.guarded))
    return bare == guarded


def no_window(difference: Difference, pair: Pair) -> bool:
    fields = pair.case.kind.fields
    counts_nothing_else = fields.get("rpm_limit") is None and fields.get("tpm_limit") is None
    return difference.where == "{api_key:KEY}:window" and difference.guarded is None and counts_nothing_else


def fallback_runs(difference: Difference, pair: Pair) -> bool:
    """The second provider is asked, too, and its answer, which fails as the first one's did, is behind the other's."""
    failed = pair.case.route.name == "fallback" and bool(pair.case.act.fails)
    if not failed or (pair.bare.asked, pair.guarded.asked) != (1, 2):
        return False
    return difference.channel == "provider" or _tells(_tails(difference.bare, difference.guarded)[1], pair)


def _statuses(fails: int) -> set[int]:
    return {fails, _SERVER_ERROR} if fails == _BROKEN_OFF else {fails}


def _tells(said: str, pair: Pair) -> bool:
    """Whether it is the provider's words, or that there are none."""
    status = pair.case.act.provider_fails
    return f"scripted {status}" in said or any(words in said for words in CUT)


def _repeats(bare: str, events: list[dict[str, Any]]) -> bool:
    """Whether it is bare LiteLLM's own words, where the provider's never came to it."""
    said = [error.get("message") for event in events if isinstance(error := event.get("error"), dict)]
    return bool(said) and all(words and words in bare for words in said)


def _error(body: str) -> dict[str, Any] | None:
    """The error that a whole body is."""
    try:
        said = json.loads(body)
    except ValueError:
        return None
    error = said.get("error") if isinstance(said, dict) else None
    return error if isinstance(error, dict) and isinstance(error.get("message"), str) else None


def _tails(bare: str, guarded: str) -> tuple[str, str]:
    """What is behind the frames that both begin with."""
    frames = [body.split("\n\n") for body in (bare, guarded)]
    common = next(
        (n for n, (one, other) in enumerate(zip(*frames, strict=False)) if one != other), min(map(len, frames))
    )
    one, other = ("\n\n".join(body[common:]) for body in frames)
    return one, other


def _without(events: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [event for event in events if event["event"] != kind]


def _count(events: list[dict[str, Any]]) -> int:
    return sum(event["event"] == "failure_hook" for event in events)


def _dropped(events: Iterable[str], names: tuple[str, ...]) -> list[dict[str, Any]]:
    return [{name: value for name, value in json.loads(event).items() if name not in names} for event in events]
