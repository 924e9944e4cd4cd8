"""The variables that a LiteLLM config names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

_ENVIRON = "os.environ/"


def resolved(value: Any, environ: Mapping[str, str]) -> Any:
    """Return *value* with each ``os.environ/NAME`` in it replaced, None where there is no such variable."""
    if isinstance(value, dict):
        return {name: resolved(part, environ) for name, part in value.items()}
    if isinstance(value, list):
        return [resolved(part, environ) for part in value]
    if isinstance(value, str) and value.startswith(_ENVIRON):
        return environ.get(value.removeprefix(_ENVIRON))
    return value
