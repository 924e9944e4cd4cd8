"""A value as an error names it: short, and however deep it is nested or long it is."""

from __future__ import annotations

import reprlib
from typing import Any

# `repr` of a list within a thousand others, which JSON can hold, goes deeper than Python's stack.
_short = reprlib.Repr()
_short.maxlevel = 3
_short.maxstring = _short.maxother = _short.maxlong = 200
_MOST = 500


def quoted(value: Any) -> str:
    """Return *value* in at most 500 letters; nothing is raised, whatever it is."""
    try:
        return _short.repr(value)[:_MOST]
    except Exception:
        # Of an int of 4300 digits Python writes none (3.11).
        return f"a {type(value).__name__}"
