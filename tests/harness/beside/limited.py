"""Keys that carry every limit that LiteLLM knows: `sk-limits-<fields of UserAPIKeyAuth as JSON, in hex>-<random>`."""

from __future__ import annotations

import json
from typing import Any

from litellm.proxy._types import UserAPIKeyAuth, hash_token
from test_auth import user_api_key_auth as usual  # type: ignore[import-not-found]


async def user_api_key_auth(request: Any, api_key: str) -> Any:
    secret = api_key.removeprefix("Bearer ")
    if not secret.startswith("sk-limits-"):
        return await usual(request, api_key)
    fields = json.loads(bytes.fromhex(secret.split("-")[2]))
    return UserAPIKeyAuth(api_key=hash_token(secret), **fields)
