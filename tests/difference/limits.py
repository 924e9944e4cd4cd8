"""Keys by what LiteLLM limits them to, as data; no case comes near any of the limits."""

from __future__ import annotations

import hashlib
import json
import secrets
from dataclasses import dataclass, field
from typing import Any

from tests.harness.keys import Key

Fields = dict[str, Any]

TAG = "blue"
CAP = 50
_REQUESTS, _TOKENS = 10_000, 10_000_000
_MODELS = ("gpt", "claude", "gem", "text", "embed", "haiku", "first-choice", "second-choice", "gemini-2.0-flash")


@dataclass(frozen=True)
class Kind:
    """Fields of UserAPIKeyAuth; `ID` in them is a random word of each key's own."""

    name: str
    fields: Fields = field(default_factory=dict, repr=False, hash=False)

    @property
    def capped(self) -> bool:
        return "max_parallel_requests" in self.fields

    def key(self) -> LimitedKey:
        ident = secrets.token_hex(8)
        said = json.dumps(self.fields).replace("ID", ident)
        secret = f"sk-limits-{said.encode().hex()}-{ident}"
        key = Key(secret, hashlib.sha256(secret.encode()).hexdigest(), self.fields.get("max_parallel_requests"))
        return LimitedKey(key, ident)

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class LimitedKey:
    """A key nobody has used, and the word that its user, team and so on have in their names."""

    key: Key
    ident: str


_CAP: Fields = {"max_parallel_requests": CAP}
_MINUTE: Fields = {"rpm_limit": _REQUESTS, "tpm_limit": _TOKENS}
_MODEL: Fields = {
    "metadata": {
        "model_rpm_limit": dict.fromkeys(_MODELS, _REQUESTS),
        "model_tpm_limit": dict.fromkeys(_MODELS, _TOKENS),
        "tag_rpm_limit": {TAG: _REQUESTS},
    }
}
_OWNERS: Fields = {"user_id": "user-ID", "team_id": "team-ID", "org_id": "org-ID", "end_user_id": "end-ID"}
_SCOPES: Fields = {
    **_OWNERS,
    **{
        f"{scope}_{unit}_limit": limit
        for scope in ("user", "team", "team_member", "organization", "end_user")
        for unit, limit in (("rpm", _REQUESTS), ("tpm", _TOKENS))
    },
    "team_metadata": {"model_tpm_limit": dict.fromkeys(_MODELS, _TOKENS)},
    "organization_metadata": {"model_rpm_limit": dict.fromkeys(_MODELS, _REQUESTS)},
}

KINDS = {
    kind.name: kind
    for kind in (
        Kind("free"),
        Kind("owned", _OWNERS),
        Kind("minute", _MINUTE),
        Kind("cap", _CAP),
        Kind("cap_minute", {**_CAP, **_MINUTE}),
        Kind("cap_model", {**_CAP, **_MODEL}),
        Kind("cap_scopes", {**_CAP, **_SCOPES}),
        Kind("everything", {**_CAP, **_MINUTE, **_MODEL, **_SCOPES}),
    )
}
