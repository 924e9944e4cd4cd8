"""LiteLLM's list of callbacks."""

from __future__ import annotations

import sys
from typing import Any


def callbacks() -> list[Any]:
    """Return the list that LiteLLM goes by now; empty where there is no LiteLLM."""
    return getattr(sys.modules.get("litellm"), "callbacks", [])


def put(changed: list[Any] | None) -> None:
    """Have LiteLLM go by *changed*; None: leave its list as it is."""
    litellm = sys.modules.get("litellm")
    if changed is not None and litellm is not None:
        litellm.callbacks = changed  # type: ignore[attr-defined]
