"""Finds what of LiteLLM is mended, by what it has and not by its version."""

from __future__ import annotations

import functools
from importlib import import_module
from typing import Any

from litellm_cancel_guard.terminal.sighting import saw


def class_with(module: str, name: str, *methods: str) -> Any:
    """Return the class *name* of LiteLLM's *module* if it has all *methods*; else None: there is nothing to mend."""
    try:
        found = getattr(import_module(f"litellm.{module}"), name, None)
    except ModuleNotFoundError:
        return None
    return found if all(hasattr(found, method) for method in methods) else None


def forget_others(stream_class: Any) -> None:
    """Forget what another stream of the request reported when one of that class begins: a fallback is in its place."""
    original = stream_class.__init__

    @functools.wraps(original)
    def init(self: Any, *args: Any, **kwargs: Any) -> None:
        saw(None)
        original(self, *args, **kwargs)

    stream_class.__init__ = init
