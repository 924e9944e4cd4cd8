"""Who of a key's agents asks, as a number: of what a client calls itself only a keyed hash is ever kept.

The hash's key is this process's own, so that nobody can tell from a number whose it is.
"""

from __future__ import annotations

import hashlib
import secrets
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

# In this order: a subagent of Claude Code, a session of it (2.1.197), a thread of Codex (0.171); as ASGI has them.
_NAMING = (b"x-claude-code-agent-id", b"x-claude-code-session-id", b"thread-id")
# Of a name that is longer, the rest tells nobody apart, and a megabyte would take a millisecond to hash.
_MOST_BYTES = 256

_KEY = secrets.token_bytes(16)


def caller_in(headers: Iterable[tuple[bytes, bytes]]) -> int:
    """Return the number of who calls by *headers*, as ASGI has them; 0 for all that name nobody."""
    try:
        named = [(name, value) for name, value in headers if name in _NAMING]
        return _number(min(named, key=lambda header: _NAMING.index(header[0]))[1]) if named else 0
    except (TypeError, ValueError):
        # Asked of every request, before anything that catches: headers of another shape would break each of them.
        return 0


def caller_called(name: Any) -> int:
    """Return the number of who is called *name*; 0 for what is no name."""
    return _number(name.encode(errors="replace")) if isinstance(name, str) else 0


def _number(name: bytes) -> int:
    if not name:
        return 0
    return int.from_bytes(hashlib.blake2b(name[:_MOST_BYTES], digest_size=8, key=_KEY).digest(), "big")
