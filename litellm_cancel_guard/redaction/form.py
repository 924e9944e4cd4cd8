r"""What a format is, and the pieces that several are made of.

Every pattern takes time by the length of its text: what may repeat without an end begins at an edge alone, or nothing
that can fail follows it. An ordinary sentence is searched for hardly any of them: see `Format.seen` and `Format.least`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

# Where a token may begin: after no letter or digit, after an escaped line break, or after a percent-encoded mark.
EDGE = r"(?:(?<![A-Za-z0-9])|(?<=\\[nrt])|(?<=%[0-9A-Fa-f]{2})|(?<=\\u00[0-9A-Fa-f]{2}))"
# What a sentence has behind the name of a field, and no secret is.
PROSE = (
    r"(?!(?:is|was|are|be|has|must|may|can|could|not|no|none|null|true|false|set|please|should|the|a|an|or|and|in|of|to"
    r"|for|from|with|on|by|invalid|missing|required|expired|auth\w{0,14}|credentials?|tokens?|header|scheme|realm"
    r"|REDACTED)\b)"
)
QUOTE = r"""(?:\\{0,3}["'])"""
ASSIGNED = rf"{QUOTE}?\s{{0,5}}(?::|=>?)\s{{0,5}}"
# Behind the quote that is kept a value goes up to the next one, else up to what ends a word in a header or a sentence.
VALUE = rf"""(?:(?<=["'])[^"'\\\r\n]+|{PROSE}[^\s"'\\,;&<>()\[\]{{}}]*[^\s"'\\,;&<>()\[\]{{}}.])"""


@dataclass(frozen=True)
class Format:
    """One kind of secret.

    Attributes:
        name: what it is.
        source: where its form is written down.
        seen: a text that has none of these, in lower case, has none of that kind.
        pattern: what is taken out, but for a group `keep`.
        internal: an operator's log may have it, for it says where to look; a client may not.
        least: the length of the shortest unbroken run of characters that holds one.
        prefixes: what it may begin with, where that tells who issued it.
    """

    name: str
    source: str
    seen: tuple[str, ...]
    pattern: re.Pattern[str]
    internal: bool = False
    least: int = 0
    prefixes: tuple[str, ...] = ()


def token(issuers: str, source: str, prefixes: str, body: str) -> Format:
    """Return the format of tokens that tell who issued them: any of *prefixes* at an edge, then *body*."""
    begins = tuple(prefixes.split())
    pattern = re.compile(rf"{EDGE}(?:{'|'.join(map(re.escape, begins))}){body}")
    return Format(issuers, source, tuple(map(str.lower, begins)), pattern, prefixes=begins)


def phrase(name: str, source: str, seen: str, pattern: str, *, internal: bool = False) -> Format:
    """Return the format that *pattern* finds in either case, in a text that has any word of *seen*."""
    return Format(name, source, tuple(seen.split()), re.compile(pattern, re.IGNORECASE), internal)
