"""Words of others as they may go to a terminal or into a log."""

from __future__ import annotations


def plain(text: str) -> str:
    """Return *text* without what would steer a terminal, or begin a line of its own."""
    return text if text.isprintable() else "".join(filter(str.isprintable, text))
