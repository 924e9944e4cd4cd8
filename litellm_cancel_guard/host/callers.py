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

from litellm_cancel_guard.settings import FIELDS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    Headers = Iterable[tuple[bytes, bytes]]

# Of a name that is longer, the rest tells nobody apart, and a megabyte would take a millisecond to hash.
_MOST_BYTES = 256

_HOST = "litellm.proxy.proxy_server"


def caller_in(headers: Headers, names: Sequence[str], field: Callable[[str], Any]) -> tuple[int, int]:
    """Return the number of who asks, and his turns in a round: of the first of *names* that the request has.

    All that have none are 0, of one turn.

    Args:
        headers: of the request, as ASGI has them.
        names: as `fair_by` has them, of headers and of `FIELDS`, some with their turns.
        field: returns the value of one of those; what is no text names nobody.
    """
    sought = _as_asgi(tuple(names))
    try:
        # Of a header that came twice, the first.
        said = dict(reversed([(name, value) for name, value in headers if name in sought])) if sought else {}
    except (TypeError, ValueError):
        # Headers of another shape name nobody.
        said = {}
    told = (
        (_said(field(name)) if name in FIELDS else said.get(header), turns) for header, (name, turns) in sought.items()
    )
    return next(((_number(name), turns) for name, turns in told if name and isinstance(name, bytes)), (0, 1))


@functools.lru_cache(maxsize=64)
def _as_asgi(names: tuple[str, ...]) -> dict[bytes, tuple[str, int]]:
    sought: dict[bytes, tuple[str, int]] = {}
    for name, _, turns in (given.partition("=") for given in names):
        sought.setdefault(name.lower().encode("latin-1"), (name, int(turns or 1)))
    return sought


def _said(value: Any) -> bytes:
    return value[:_MOST_BYTES].encode(errors="replace") if isinstance(value, str) else b""


def _number(name: bytes) -> int:
    return int.from_bytes(hashlib.blake2b(name[:_MOST_BYTES], digest_size=8, key=_key()).digest(), "big")


@functools.cache
def _key() -> bytes:
    """Return the hash's key: LiteLLM has read its config by the time that there is somebody to tell apart."""
    known: Any = os.environ.get("LITELLM_SALT_KEY") or getattr(sys.modules.get(_HOST), "master_key", None)
    known = known or os.environ.get("LITELLM_MASTER_KEY")
    if not isinstance(known, str):
        return secrets.token_bytes(16)
    return hashlib.blake2b(known.encode(errors="replace"), digest_size=16, person=b"cancel_guard").digest()
