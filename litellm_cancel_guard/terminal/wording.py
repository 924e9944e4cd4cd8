"""What providers say in words: their names for a failure, their delays, and what of a text a client may see."""

from __future__ import annotations

import ast
import json
import math
import re
from typing import Any

from litellm_cancel_guard.redaction import bounded, for_client
from litellm_cancel_guard.terminal.meanings import REFUSED, WORDS

# Codes of a refusal that no waiting cures: what is missing is money, or a right (OpenAI's and Moonshot's lists of error
# codes; codex-rs). Some say it by the type alone.
BEYOND_WAITING = frozenset(
    {
        *("insufficient_quota", "usage_not_included", "billing_not_active", "billing_hard_limit_reached"),
        "exceeded_current_quota_error",
    }
)

# Providers' own numbers for the same: no money left, no plan any more (z.ai's list of error codes).
_SAME_AS = {"1113": "insufficient_quota", "1309": "usage_not_included"}

_RESPONSES_CODES = {
    *REFUSED,
    *BEYOND_WAITING,
    *("server_is_overloaded", "slow_down", "vector_store_timeout", "rate_limit_exceeded", "server_error"),
    *("content_policy_violation", "content_filter"),
}

CUT_OFF = "The provider's stream ended before it was complete."
UNANSWERED = "The provider closed the connection before it had answered."
UNREACHABLE = "The provider could not be reached."
UNREADABLE = "The provider's answer could not be read."
# What is said of a connection, which a provider has no words for.
CONNECTIONS = frozenset({CUT_OFF, UNANSWERED, UNREACHABLE})
_MESSAGES = {
    429: "The provider's rate limit is reached.",
    529: "The provider is overloaded.",
    503: "The provider is unavailable.",
    504: "The provider did not answer in time.",
}
_LONGEST = 2000
# Regular expressions see this much of a text: a page of a megabyte must not hold up the loop. Of a message they see
# enough for the longest one with what is taken out of it.
_SEEN = MOST_READ = 20_000
_SEEN_OF_MESSAGE = 2 * _LONGEST

_DECODER = json.JSONDecoder()
_FIELD = re.compile(r"""["'](?:type|code|status)["']\s*:\s*["']?(\w+)""")
_BARE = re.compile(
    r"\b(rate_limit_exceeded|rate_limit_error|RESOURCE_EXHAUSTED|overloaded_error|throttlingException)\b"
)
_PAGE = re.compile(r"\b429\b|too many requests", re.IGNORECASE)
_DELAYS = (
    re.compile(r"""retryDelay["']?\s*:\s*["']([\d.]+)(s)["']"""),
    re.compile(r"(?:try again|retry) in\s+([\d.]+)\s*(ms|s|m)", re.IGNORECASE),
)
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0}

# (?<!\s): tried again from each blank of a long run of them, it would take time by the square of the run's length, and
# a provider that repeats its input in an error would have the loop stand still for 2 s.
_TAIL = re.compile(
    r"Traceback \(most recent call last\).*"
    r"|\.?(?<!\s)\s*(?:Received Model Group=|Handle with `litellm\.).*"
    r"|(?<!\s)\s*(?:No fallback model group found for |Available Model Group Fallbacks=).*"
    r"|(?<!\s)\s*(?:LiteLLM Retried:|LiteLLM Default Request Timeout).*",
    re.DOTALL,
)
_NAME = r"[\w.-]*(?:Error|Exception|Timeout)"
_PREFIX = re.compile(rf"^\s*(?:{_NAME}\s+){{0,3}}{_NAME}\s*[:-]\s+")
_UNREAD = "Got unexpected response from "
# What LiteLLM makes of OpenRouter's error (1.80 - 1.110, llms/openrouter/chat/transformation.py).
_ROUTED = re.compile(r"^Message: (.*?), Metadata: .*, User ID:.*$", re.DOTALL)
_INTERNAL = re.compile(r"\b(?:litellm(?:\.\w+)+|MidStreamFallbackError|VertexAIError)\b:?\s*")


def text_of(error: BaseException) -> str:
    """Return what *error* says; an exception whose own text can't be built says nothing."""
    message = getattr(error, "message", None)
    if isinstance(message, str):
        return message
    try:
        return str(error)
    except Exception:
        return ""


def responses_code(code: Any, kind: Any) -> str | None:
    """Return what a client of the Responses API decides by: an error's *code*, or its *kind* where no waiting helps."""
    if isinstance(code, str | int):
        code = _SAME_AS.get(str(code), code)
    if isinstance(code, str) and code in _RESPONSES_CODES:
        return code
    return kind if isinstance(kind, str) and kind in BEYOND_WAITING else None


def status_in(text: str) -> int | None:
    """Return the 429 or 529 that *text* names by a provider's word, else None."""
    words = (*_FIELD.findall(text[:_SEEN]), *_BARE.findall(text[:_SEEN]))
    found = (429 if word == "429" else 529 if word == "529" else WORDS.get(word.lower()) for word in words)
    return next((status for status in found if status in (429, 529)), None)


def is_rate_limit_page(text: str) -> bool:
    """Tell whether an error page, which has no fields, is about a rate limit."""
    return _PAGE.search(text[:_SEEN]) is not None


def delay_in(text: str) -> float | None:
    """Return the seconds after which *text* says to ask again."""
    for pattern in _DELAYS:
        if found := pattern.search(text[:_SEEN]):
            delay = seconds(found[1])
            return None if delay is None else delay * _UNITS[found[2].lower()]
    return None


def seconds(value: Any) -> float | None:
    """Return *value* as a delay in seconds, at most a day; None for a date, a text or nonsense."""
    if isinstance(value, bool):
        return None
    try:
        delay = float(value)
    except (TypeError, ValueError):
        return None
    return delay if math.isfinite(delay) and 0 <= delay <= 24 * 3600 else None


def embedded_json(text: str) -> Any:
    """Return the JSON that is wrapped in *text*, as in `OpenAIException - {...}` or `b'{...}'`; else None.

    LiteLLM may add its advice about fallbacks behind it, which has braces of its own (1.83, router.py).
    """
    starts = [at for mark in "[{" if (at := text.find(mark)) >= 0]
    for start in sorted(starts):
        end = max(text.rfind("]"), text.rfind("}")) + 1
        for reading in (text[start:end], _unescaped(text, start, end)):
            if reading is None or len(reading) > _SEEN:
                continue
            try:
                return json.loads(reading)
            except (ValueError, RecursionError):
                continue
        if (first := _value_at(text, start)) is not None:
            return first
    return None


def unread_event(text: str) -> Any:
    """Return the event that LiteLLM's parser could not read, of its words about it; else None.

    `KeyError: 'message', Got unexpected response from Ollama: {'error': ...}` with a status of 400, which is its own
    (1.80 - 1.110, llms/ollama/chat/transformation.py, llms/openrouter/chat/transformation.py and others).
    """
    _, found, event = text.partition(_UNREAD)
    start = event.find("{")
    if not found or start < 0 or len(event) > _SEEN:
        return None
    event = _TAIL.sub("", event)
    try:
        return ast.literal_eval(event[start : event.rfind("}") + 1])
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return None


def _value_at(text: str, start: int) -> Any:
    """Read the JSON that begins there, whatever is behind it."""
    try:
        return _DECODER.raw_decode(text[start : start + _SEEN])[0]
    except (ValueError, RecursionError):
        return None


def _unescaped(text: str, start: int, end: int) -> str | None:
    """Read a JSON body that stands in *text* as the repr of bytes."""
    quote = text[start - 1 : start]
    if quote not in ("'", '"') or end - start > _SEEN:
        return None
    try:
        read = ast.literal_eval(f"b{quote}{text[start:end]}{quote}")
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return None
    return read.decode(errors="replace") if isinstance(read, bytes) else None


def default_message(status: int) -> str:
    """Return what to say of a failure that came without words a client may see."""
    return _MESSAGES.get(status, "The provider's stream failed.")


def cleaned(message: str, status: int) -> str:
    """Return *message* without LiteLLM's internal names, tracebacks, server paths and secrets; never empty."""
    text = _TAIL.sub("", bounded(message, _SEEN_OF_MESSAGE))
    while (shorter := _PREFIX.sub("", text, count=1)) != text:
        text = shorter
    text = _INTERNAL.sub("", for_client(_ROUTED.sub(r"\1", text)))
    # A lone surrogate is no text: it would make a frame that cannot be encoded.
    text = text.encode("utf-8", errors="replace").decode()
    return text.strip()[:_LONGEST].strip() or default_message(status)
