"""A strict reader of server-sent events: what a lenient one would repair is an error here."""

from __future__ import annotations

import json
import re
from typing import Any, NamedTuple

_FIELD = re.compile(r"(event|data|id|retry): (.*)", re.DOTALL)


class Event(NamedTuple):
    name: str
    data: Any


def parse(text: str) -> list[Event]:
    """The events of *text*, each one data line of JSON or [DONE]; raises ValueError for anything else."""
    if not text.endswith("\n\n"):
        raise ValueError(f"the last frame is open: {text[-80:]!r}")
    # What the HTML standard takes for a line end; str.splitlines knows more, which SDKs do not.
    if "\r" in text:
        raise ValueError("a bare carriage return ends a line")
    return [_event(frame) for frame in text[:-2].split("\n\n")]


def _event(frame: str) -> Event:
    name, data = "", []
    for line in frame.split("\n"):
        if line.startswith(":"):
            continue
        said = _FIELD.fullmatch(line)
        if said is None:
            raise ValueError(f"not a field: {line[:80]!r}")
        if said[1] == "event":
            name = said[2]
        elif said[1] == "data":
            data.append(said[2])
    if len(data) != 1:
        raise ValueError(f"{len(data)} data lines in one frame: {frame[:80]!r}")
    return Event(name, data[0] if data[0] == "[DONE]" else json.loads(data[0]))
