"""Keys with a role, `sk-as_proxy_admin-<random>`; for all that name no limits of their own, LiteLLM decides itself."""

from __future__ import annotations

import re
from typing import Any

from litellm.proxy._types import LitellmUserRoles, UserAPIKeyAuth, hash_token
from test_auth import user_api_key_auth as usual  # type: ignore[import-not-found]


async def user_api_key_auth(request: Any, api_key: str) -> Any:
    if role := re.match(r"sk-as_([a-z_]+)-", api_key):
        return UserAPIKeyAuth(api_key=hash_token(api_key), user_role=LitellmUserRoles(role[1]))
    if re.match(r"sk-(cap|warm)?[0-9a-f-]+", api_key):
        return await usual(request, api_key)
    return api_key
