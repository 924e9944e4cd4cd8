"""Gives every ``max_parallel_requests`` slot of a LiteLLM proxy back exactly once, however its request ends.

Switched on in LiteLLM's ``config.yaml`` with one line:

    litellm_settings:
      callbacks: [litellm_cancel_guard.handler]

Importing this package imports neither litellm nor redis; ``handler`` is built when it is first asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from litellm_cancel_guard.entry import handler

__all__ = ["__version__", "handler"]


def __getattr__(name: str) -> Any:
    if name == "handler":
        return _handler()
    if name == "__version__":
        from importlib.metadata import version

        return version("litellm-cancel-guard")
    from litellm_cancel_guard.host.callback_name import misnamed

    return misnamed(name, _handler)


def _handler() -> Any:
    from litellm_cancel_guard.entry import handler

    return handler
