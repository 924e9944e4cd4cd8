"""How a key is called where people read: by LiteLLM's own hash of it, never by the key."""

from __future__ import annotations

import hashlib
import re

_HASH = re.compile(r"[0-9a-f]{64}")
_SHOWN_DIGITS = 8


def key_of(gauge: str) -> str:
    """Return the hash of the key that *gauge* limits; a name that is no hash (custom auth's, a JWT's) is hashed."""
    name = gauge.partition(":")[2] or gauge
    return name if _HASH.fullmatch(name) else hashlib.sha256(name.encode()).hexdigest()


def without_key(text: object, gauge: str) -> str:
    """Return *text* for a log, *gauge* in it as `shown`: what custom auth calls a key by may be the key itself.

    Nor could the rest be read: LiteLLM's log has ``REDACTED`` for ``api_key:`` and what follows it (1.83 - 1.109).
    """
    return str(text).replace(gauge, f"{shown(gauge)}…")


def shown(gauge: str) -> str:
    """Return the first digits of that hash, which tell the keys of a proxy apart and are taken by the command line."""
    return key_of(gauge)[:_SHOWN_DIGITS]
