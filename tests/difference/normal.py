"""What of an answer, an event or a key is the same at each request: without ids, names, times and ports."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.difference.limits import LimitedKey

# The run of a case, by play.py: session, number of the case, number of the side.
_RUN = re.compile(r"\b[0-9a-f]{6}\.\d+\.[01]\b")
_IDS = "id|item_id|response_id|previous_response_id|created|created_at|completed_at|system_fingerprint|responseId"
_OWN = re.compile(
    rf"""(?P<name>"(?:{_IDS})": ?)(?:"[^"]*"|[\d.]+)"""
    r"""|\b(?:resp|msg|chatcmpl|cmpl|rs|fc|call)[_-](?=[\w=-]*\d)[\w=-]{8,}"""
)
_UUID = re.compile(r"\b[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}\b")
_TIME = re.compile(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(?:\.\d+)?(?: ?UTC|Z|[+-]\d\d:\d\d)?")
_MINUTE = re.compile(r"\d{4}-\d\d-\d\d-\d\d-\d\d|\b\d\d-\d\d$")
_TOOK = re.compile(r"\d+\.\d+ ?(?:s|ms|seconds)\b")

# Differ from one request to the next with LiteLLM alone: the day's time, what it took, ids of calls, and what others
# have left of the minute of the model.
_CHANGING = re.compile(
    r"(?:.*-)?date|content-length|x-litellm-call-id|.*(?:duration|latency|timing|overhead|request-id|_ms|-ms)"
    r"|x-ratelimit-remaining-(?:requests|tokens)"
)
# Counted for a minute, and gone before the script has been played.
PASSING = re.compile(r"MINUTE$")


def text(said: str, key: LimitedKey | None = None) -> str:
    """*said* with a word in the place of each thing that is of this request alone."""
    if key is not None:
        for own, word in ((key.key.secret, "SECRET"), (key.key.name, "KEY"), (key.ident, "ID")):
            said = said.replace(own, word)
    said = _OWN.sub(lambda found: f'{found["name"]}"OWN"' if found["name"] else "OWN", _RUN.sub("RUN", said))
    return _TOOK.sub("TOOK", _TIME.sub("TIME", _UUID.sub("UUID", said)))


def headers(given: list[tuple[str, str]], key: LimitedKey) -> dict[str, list[str]]:
    """Each header's values; only whether it is there, of those that change."""
    found: dict[str, list[str]] = {}
    for name, value in given:
        found.setdefault(name, []).append("…" if _CHANGING.fullmatch(name) else text(value, key))
    return found


def event(told: dict[str, Any], key: LimitedKey | None) -> str:
    """One event, as a line."""
    return text(json.dumps(told, sort_keys=True), key)


def stored_name(name: str, key: LimitedKey | None) -> str:
    """A key of Redis."""
    return _MINUTE.sub("MINUTE", text(name, key))
