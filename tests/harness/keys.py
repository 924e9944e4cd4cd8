"""Keys that say their own limits: `sk-cap4-rpm10-<random>`. There is no database; custom_auth reads them."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass

MASTER_KEY = "sk-master-of-the-test-proxy"

# Runs inside the proxy, beside its config, so it can import nothing of the harness.
CUSTOM_AUTH = """\
import re
import time

from litellm.proxy._types import UserAPIKeyAuth, hash_token


async def user_api_key_auth(request, api_key):
    secret = api_key.removeprefix("Bearer ")

    def limit(name):
        said = re.search(rf"-{name}(\\d+)-", secret)
        return int(said[1]) if said else None

    if limit("block"):
        time.sleep(limit("block") / 1000)  # as a callback that waits without awaiting: the event loop stands still
    fair = {"fair_by": ["X-Team"]} if limit("teams") else {}
    if limit("turns"):
        fair = {"fair_by": ["X-Claude-Code-Agent-Id", f"X-Claude-Code-Session-Id={limit('turns')}"]}
    return UserAPIKeyAuth(
        api_key=secret.removeprefix("sk-") if "-raw-" in secret else hash_token(secret),
        max_parallel_requests=limit("cap"),
        rpm_limit=limit("rpm"),
        tpm_limit=limit("tpm"),
        user_id=secret if limit("user") else None,
        user_rpm_limit=limit("user"),
        metadata={"cancel_guard": {"max_wait_seconds": limit("wait"), **fair}} if limit("wait") else {},
    )
"""


@dataclass(frozen=True)
class Key:
    """`name` is what LiteLLM and Redis know the key by."""

    secret: str
    name: str
    cap: int | None


def fresh_key(cap: int | None = 4, *, raw: bool = False, **limits: int | None) -> Key:
    """A key nobody has used; `raw` ones are not 64 hex digits, as those of a JWT or a custom auth.

    *limits* are `rpm` and `tpm`, `user`, a user's requests per minute, `wait`, how many seconds its requests wait in
    line, `teams`: in turn by a header X-Team, `turns`: with so many for Claude Code's main session, and `block`: a
    request with such a key makes its worker's event loop stand still for so many milliseconds.
    """
    limits = {"cap": cap, **limits}
    parts = [f"{name}{limit}" for name, limit in limits.items() if limit is not None]
    secret = "-".join(["sk", *parts, *(["raw"] if raw else []), secrets.token_hex(8)])
    name = secret.removeprefix("sk-") if raw else hashlib.sha256(secret.encode()).hexdigest()
    return Key(secret, name, cap)
