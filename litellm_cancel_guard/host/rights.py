"""Who asks, by LiteLLM's own authentication, and what LiteLLM lets its admins do."""

from __future__ import annotations

from typing import Any

# LiteLLM's words and roles (litellm/proxy/_types.py, CommonProxyErrors and LitellmUserRoles, 1.80 - 1.109).
NOT_ALLOWED = "Admin-only endpoint. Not allowed to access this."
ADMIN, VIEWER = "proxy_admin", "proxy_admin_viewer"


def authentication() -> Any:
    """Return what a FastAPI route depends on to be told the key that asks; LiteLLM answers 401 for a wrong one."""
    from litellm.proxy.auth.user_api_key_auth import user_api_key_auth

    return user_api_key_auth


def refusal(status: int, message: str) -> Exception:
    """Return what LiteLLM's application answers in its own shape: ``{"error": {"message": ..., "code": "400"}}``."""
    from litellm.proxy._types import ProxyException

    error: Exception = ProxyException(message=message, type="invalid_request_error", param=None, code=status)
    return error


def has_role(user: Any, *roles: str) -> bool:
    """Tell whether *user*, as told by `authentication`, is one of *roles*."""
    role = getattr(user, "user_role", None)
    return getattr(role, "value", role) in roles


def name_of(user: Any) -> str:
    """Return by what an operator's log may call *user*: LiteLLM's id of the user or the key's alias, never a key."""
    named = getattr(user, "user_id", None) or getattr(user, "key_alias", None)
    return f"the admin {named}" if named else "an admin"
