"""What an operator has set for one deployment alone: ``model_info: {cancel_guard: {on_truncation: pass}}``.

Never in ``litellm_params``, which go to the provider. It is read with each request, so that a change counts at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

_METADATA = ("metadata", "litellm_metadata")


def passes_truncation(wrapper: Any) -> bool:
    """Tell whether the deployment that answers *wrapper*'s request may end its streams without an end."""
    details = getattr(getattr(wrapper, "logging_obj", None), "model_call_details", None)
    params = details.get("litellm_params") if isinstance(details, dict) else None
    return isinstance(params, dict) and request_passes_truncation(params)


def request_passes_truncation(data: Any) -> bool:
    """Tell the same of a request's own data, to which the router has added what it chose."""
    return any(_block(info).get("on_truncation") == "pass" for info in _infos(data))


def _infos(data: Any) -> Iterator[Any]:
    if isinstance(data, dict):
        yield data.get("model_info")
        yield from (found.get("model_info") for name in _METADATA if isinstance(found := data.get(name), dict))


def _block(info: Any) -> dict[str, Any]:
    said = info.get("cancel_guard") if isinstance(info, dict) else None
    return said if isinstance(said, dict) else {}
