"""Finds what of LiteLLM is mended, by what it has and not by its version."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from litellm_cancel_guard.host.grafting import has_methods


def class_with(module: str, name: str, *methods: str) -> Any:
    """Return the class *name* of LiteLLM's *module* if it has all *methods*; else None: there is nothing to mend.

    Raises:
        NotFoundError: one of them is a property: what is read of the class is then not what LiteLLM calls.
    """
    try:
        found = getattr(import_module(f"litellm.{module}"), name, None)
    except ModuleNotFoundError:
        return None
    return found if has_methods(found, *methods) else None
