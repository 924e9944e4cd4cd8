"""LiteLLM's list of callbacks."""

from __future__ import annotations

import copy
import sys
from typing import Any


def callbacks() -> list[Any]:
    """Return the list that LiteLLM goes by now; empty where there is no LiteLLM."""
    return getattr(sys.modules.get("litellm"), "callbacks", [])


def put(changed: list[Any] | None) -> None:
    """Have LiteLLM go by *changed*; None: leave its list as it is, and so what is no list."""
    litellm = sys.modules.get("litellm")
    if changed is None or litellm is None or not isinstance(callbacks(), list):
        return
    # Of the same kind: whoever asks it for more than a list has would fail of a plain one.
    kept = copy.copy(callbacks())
    kept[:] = changed
    litellm.callbacks = kept  # type: ignore[attr-defined]
