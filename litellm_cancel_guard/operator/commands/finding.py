"""What `doctor` says of each thing that it has looked at."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """What was looked at.

    Attributes:
        check: what.
        ok: whether nothing has to be done.
        text: what was found, or what to do.
        warning: whether it is *ok* only where the operator knows better.
    """

    check: str
    ok: bool
    text: str
    warning: bool = False
