"""Who asks, of what is kept of a request: what may be shown of it without being asked for, and what was asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from litellm_cancel_guard.lease.holders import shortened

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from litellm_cancel_guard.lease.holders import About

_NOTHING: Mapping[str, Any] = {}

# LiteLLM's attributes of a key (1.80 - 1.110, proxy/_types.py `UserAPIKeyAuth`), the first that is set.
_OF_A_KEY = {
    "alias": ("key_alias",),
    "team": ("team_alias", "team_id"),
    "user": ("user_id",),
    "end_user": ("end_user_id",),
}


def about(data: Any, key: Any, wanted: Sequence[str]) -> About:
    """Return what is to be kept of a request, as it is: it is looked at with the next beat, if at all.

    Args:
        data: LiteLLM's dict of it.
        key: LiteLLM's object of its key.
        wanted: the fields of `holders_detail`.
    """
    said = data if isinstance(data, dict) else _NOTHING
    detail = {name: told for name in wanted if (told := _detail(name, said, key))} if wanted else _NOTHING
    return said.get("model"), said.get("litellm_call_id"), getattr(key, "request_route", None), detail


def told(name: str, data: Any, key: Any) -> Any:
    """Return what is said of a request under *name*, one of `FIELDS`, as it is."""
    if name == "address":
        return _address(data if isinstance(data, dict) else _NOTHING, key)
    return getattr(key, "end_user_id", None)


def _detail(name: str, data: Any, key: Any) -> str:
    if name == "address":
        return _address(data, key)
    return next((told for attribute in _OF_A_KEY[name] if (told := shortened(getattr(key, attribute, None)))), "")


def _address(data: Mapping[str, Any], key: Any) -> str:
    """Return the address as LiteLLM has it: of the header, where ``use_x_forwarded_for`` says so (1.80 - 1.110).

    LiteLLM notes it in one of the two dicts, beside its object of the key, and the other is the client's, which may
    name any address (proxy/litellm_pre_call_utils.py `_get_metadata_variable_name`: by the route).
    """
    told = (data.get(name) for name in ("metadata", "litellm_metadata"))
    own = (one for one in told if isinstance(one, dict) and type(one.get("user_api_key_auth")) is type(key))
    return next((shortened(one.get("requester_ip_address")) for one in own), "")
