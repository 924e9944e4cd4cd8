"""Words -> the same words without what is secret in them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from litellm_cancel_guard.redaction.formats import FORMATS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from litellm_cancel_guard.redaction.form import Format

REDACTED = "REDACTED"

# No more of a text is searched, and none of the rest is shown: a page of a megabyte must not hold up the loop.
_SEEN = 20_000
# What the host is given at once, up to a blank where there is one. LiteLLM's own patterns (1.83 - 1.110) take time by
# the square of a text's length, 1.83's by the cube: 4,000 characters of "://" keep the loop for half a minute.
_PIECES = re.compile(r"[\s\S]{1,160}(?:(?=\s)|\Z)|[\s\S]{1,160}")
_KEPT = rf"\g<keep>{REDACTED}"


@dataclass(frozen=True)
class Redaction:
    """What the host redacts by itself, each None where it can't.

    Attributes:
        secrets: takes secrets out of a text.
        internals: takes them out, and what only an operator may see.
    """

    secrets: Callable[[str], str] | None = None
    internals: Callable[[str], str] | None = None


_hosts = Redaction()


def use(redaction: Redaction) -> None:
    """Have the host's own redaction applied after the guard's, from now on."""
    global _hosts  # noqa: PLW0603 - one host in a process
    _hosts = redaction


def for_client(text: str) -> str:
    """Return *text* as a client may read it: no secrets, and nothing of where and by whom the proxy is run."""
    return _told(text, FORMATS, _hosts.internals or _hosts.secrets)


def for_log(text: str) -> str:
    """Return *text* as an operator may read it: no secrets; addresses and paths stay, for they say where to look."""
    return _told(text, _SECRETS, _hosts.secrets)


def _told(text: str, formats: Sequence[Format], redact: Callable[[str], str] | None) -> str:
    return _redacted_by_host(redact, without(bounded(text), formats))


def without(text: str, formats: Iterable[Format]) -> str:
    """Return *text* without what has one of *formats*."""
    low, longest = text.lower(), max(map(len, text.split()), default=0)
    for one in formats:
        if longest >= one.least and (not one.seen or any(mark in low for mark in one.seen)):
            text = one.pattern.sub(_KEPT if "keep" in one.pattern.groupindex else REDACTED, text)
    return text


def bounded(text: str, longest: int = _SEEN) -> str:
    """Return no more than *longest* characters of *text*; a word that is cut goes: half a secret looks like none."""
    if len(text) <= longest:
        return text
    words = text[:longest].rsplit(None, 1)
    return words[0] if len(words) > 1 else ""


def _redacted_by_host(redact: Callable[[str], str] | None, text: str) -> str:
    if redact is None:
        return text
    try:
        return "".join(str(redact(piece)) for piece in _PIECES.findall(text))
    except Exception:
        # The log's own lines come here, too: nothing can be said of it. The guard's patterns have been applied.
        return text


_SECRETS = tuple(one for one in FORMATS if not one.internal)
