"""Whole frames: what a stream of bytes hands on at once, so that an error can follow it at any time."""

from __future__ import annotations

import re
from typing import Any

_ENDS = (b"\n\n", b"\r\n\r\n")
# A frame longer than this passes in pieces, as it came; an error after such a piece is not read by every client.
_LONGEST_FRAME = 4 * 2**20
_ERROR = re.compile(rb'^(?:event: ?error|data: ?\{"(?:error"|type": ?"error"))', re.MULTILINE)


def before_error(chunk: Any) -> list[bytes]:
    """Return the frames of *chunk* before its error: one read may hold the last words and the error behind them."""
    found = _ERROR.search(chunk) if isinstance(chunk, bytes) else None
    if found is None:
        return []
    start = max(at + len(mark) if (at := chunk.rfind(mark, 0, found.start())) >= 0 else 0 for mark in _ENDS)
    return [chunk[:start]] if start else []


class Frames:
    """Keeps the open end of a chunk until the rest of its frame has come; nothing else is held up or changed.

    A provider's bytes are cut where the network cut them. An error behind half a frame would become part of it, and
    anthropic's SDK raises a JSONDecodeError instead. No client can use half a frame, so that none waits for it.

    Attributes:
        open: the frame that has begun, and has to go out before what comes.
    """

    __slots__ = ("open",)

    def __init__(self) -> None:
        self.open = b""

    @property
    def kept(self) -> list[bytes]:
        """The open end, which is a stream's last frame where the provider did not close it."""
        return [self.open] if self.open else []

    def push(self, chunk: Any) -> list[Any]:
        """Return what may go out now that *chunk* has come: the very object, if it ends with its last frame."""
        if not isinstance(chunk, bytes):
            kept, self.open = self.kept, b""
            return [*kept, chunk]
        if not self.open and chunk.endswith(_ENDS):
            return [chunk]
        data = self.open + chunk
        end = max(at + len(mark) if (at := data.rfind(mark)) >= 0 else 0 for mark in _ENDS)
        if len(data) - end > _LONGEST_FRAME:
            end = len(data)
        self.open = data[end:]
        return [data[:end]] if end else []
