"""The deployment that the router has chosen: its name, and what an operator has set for it alone.

That is ``model_info: {cancel_guard: {on_truncation: pass}}``, never in ``litellm_params``, which go to the provider. It
is read with each request, so that a change counts at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from litellm_cancel_guard.redaction.plain import plain

if TYPE_CHECKING:
    from collections.abc import Iterator

_METADATA = ("metadata", "litellm_metadata")
# What is shown of a name: it goes into the log, and under a wildcard a client has chosen it.
_LONGEST = 100


def passes_truncation(wrapper: Any) -> bool:
    """Tell whether the deployment that answers *wrapper*'s request may end its streams without an end."""
    return request_passes_truncation(params_of(wrapper))


def request_passes_truncation(data: Any) -> bool:
    """Tell the same of a request's own data, to which the router has added what it chose."""
    return any(_block(info).get("on_truncation") == "pass" for info in _infos(data))


def params_of(wrapper: Any) -> Any:
    """Return what the router has added to *wrapper*'s request, as far as LiteLLM has kept it for its log."""
    details = getattr(getattr(wrapper, "logging_obj", None), "model_call_details", None)
    return details.get("litellm_params") if isinstance(details, dict) else None


def named(data: Any) -> tuple[str, str] | None:
    """Return the id of the deployment that a request's own *data* names, and its name to an operator; None if none.

    The router writes both into the metadata (LiteLLM 1.80 - 1.110, router.py `_update_kwargs_with_deployment`).
    """
    # Where the router writes into `litellm_metadata`, the other is the client's own.
    for name in reversed(_METADATA):
        about = data.get(name) if isinstance(data, dict) else None
        if not isinstance(about, dict) or not isinstance(about.get("model_info"), dict):
            continue
        group, model = (about.get("deployment_model_name") or about.get("model_group")), about.get("deployment")
        shown = f"{group} ({model})" if group and model else str(group or model or "")
        clean = plain(shown[:_LONGEST])
        if clean:
            return str(about["model_info"].get("id") or clean), clean
    return None


def _infos(data: Any) -> Iterator[Any]:
    if isinstance(data, dict):
        yield data.get("model_info")
        yield from (found.get("model_info") for name in _METADATA if isinstance(found := data.get(name), dict))


def _block(info: Any) -> dict[str, Any]:
    said = info.get("cancel_guard") if isinstance(info, dict) else None
    return said if isinstance(said, dict) else {}
