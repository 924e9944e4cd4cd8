"""Which chunks say no more than the one before: told in a fraction of the time that it takes to parse one."""

from __future__ import annotations

from typing import Generic, TypeVar

Text = TypeVar("Text", str, bytes)

# Beyond so many chunks that a shape does not fit, none is looked for: tool calls have quotes in their text.
_TRIES = 16
# What is in a frame that may say an end or an error; in a text the quotes are escaped.
_TELLING = _REASON, _SPACED_REASON, _ERROR = b'eason":"', b'eason": "', b'"error"'


class Shape(Generic[Text]):
    """All of a chunk but its text, and but the padding that OpenAI adds behind it (`obfuscation`).

    Where the rest is the same, byte for byte, and neither of the two has a quote in it, nothing else is said.
    """

    __slots__ = ("_head", "_last", "_marks", "_middle", "_pads", "_quote", "_tries")

    def __init__(self, quote: Text, marks: tuple[Text, ...], pads: tuple[Text, ...]) -> None:
        self._quote: Text = quote
        self._marks: tuple[Text, ...] = marks
        self._pads: tuple[Text, ...] = pads
        # No chunk begins so.
        self._head: Text = quote
        self._middle: Text = quote
        self._last: Text = quote
        self._tries = 0

    def fits(self, data: Text) -> bool:
        """Tell whether *data* is as the last that was learned."""
        if not data.startswith(self._head):
            return False
        end = data.find(self._quote, len(self._head))
        if not data.startswith(self._middle, end):
            return False
        end += len(self._middle)
        if self._last:
            return data.find(self._quote, end) == len(data) - len(self._last) and data.endswith(self._last)
        return end == len(data)

    def learn(self, data: Text) -> None:
        """Go by *data*, a chunk with a text and nothing else to say, from now on."""
        self._tries += 1
        if self._tries > _TRIES:
            return
        start = _behind(data, self._marks, 0)
        end = data.find(self._quote, start)
        if start < 0 or end < 0:
            return
        pad = _behind(data, self._pads, end)
        last = len(data) if pad < 0 else data.find(self._quote, pad)
        self._head, self._middle, self._last = data[:start], data[end : last if pad < 0 else pad], data[last:]


def shape_of_bytes() -> Shape[bytes]:
    """Return what learns the shape of frames."""
    return Shape(b'"', (b'tent":"', b'tent": "'), (b'"obfuscation":"', b'"obfuscation": "'))


def shape_of_lines() -> Shape[str]:
    """Return what learns the shape of lines."""
    return Shape('"', ('tent":"', 'tent": "'), ('"obfuscation":"', '"obfuscation": "'))


def is_usual(said: str) -> bool:
    """Tell whether an object says neither an end nor an error; a text that speaks of one has its quotes escaped."""
    return (
        said.endswith("}")
        and 'eason":"' not in said
        and 'eason": "' not in said
        and '"error"' not in said
        and 'done":true' not in said
        and 'done": true' not in said
    )


def behind_usual(data: bytes, start: int) -> int:
    """Return where the whole frames end that stand in *data* from *start* on and are usual; *start* if there are none.

    They end before the first that may say more.
    """
    telling = min((at for mark in _TELLING if (at := data.find(mark, start)) >= 0), default=len(data))
    last = data.rfind(b"}\n\n", start, telling)
    end = last + 3
    return end if last >= 0 and _are_frames(data[start:end]) else start


def are_usual(data: bytes) -> bool:
    """Tell the same of whole frames, written as OpenAI's own servers write them."""
    return _are_frames(data) and data.find(_REASON) < 0 and data.find(_SPACED_REASON) < 0 and data.find(_ERROR) < 0


def _are_frames(data: bytes) -> bool:
    ends = data.count(b"}\n\n")
    return (
        data.startswith(b"data: {")
        and data.endswith(b"}\n\n")
        and data.count(b"\n") == 2 * ends
        and data.count(b"\n\ndata: {") == ends - 1
    )


def _behind(data: Text, marks: tuple[Text, ...], start: int) -> int:
    """Return where the first of *marks* that is there ends; -1 where none is."""
    return next((at + len(mark) for mark in marks if (at := data.find(mark, start)) >= 0), -1)
