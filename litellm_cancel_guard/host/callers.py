"""Who of a key's agents asks, as a number: of what a client calls itself only a keyed hash is ever kept.

The hash's key comes of a secret that all workers of a proxy know: they mean the same by a number, and nobody else can
tell whose it is. Where there is none, it is this process's own.
"""

from __future__ import annotations

import functools
import hashlib
import os
import secrets
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

# In this order: a subagent of Claude Code, a session of it (2.1.197), a thread of Codex (0.171); as ASGI has them.
_NAMING = (b"x-claude-code-agent-id", b"x-claude-code-session-id", b"thread-id")
# Of a name that is longer, the rest tells nobody apart, and a megabyte would take a millisecond to hash.
_MOST_BYTES = 256

_HOST = "litellm.proxy.proxy_server"


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
    return int.from_bytes(hashlib.blake2b(name[:_MOST_BYTES], digest_size=8, key=_key()).digest(), "big")


@functools.cache
def _key() -> bytes:
    """Return the hash's key: LiteLLM has read its config by the time that there is somebody to tell apart."""
    known: Any = os.environ.get("LITELLM_SALT_KEY") or getattr(sys.modules.get(_HOST), "master_key", None)
    known = known or os.environ.get("LITELLM_MASTER_KEY")
    if not isinstance(known, str):
        return secrets.token_bytes(16)
    return hashlib.blake2b(known.encode(errors="replace"), digest_size=16, person=b"cancel_guard").digest()
