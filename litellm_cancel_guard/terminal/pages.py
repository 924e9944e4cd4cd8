"""Whether what came in a Gemini stream's place of a frame is one: an error page, or half a frame, is none."""

from __future__ import annotations

import json

_FIELDS = (b"data:", b"event:", b"id:", b"retry:", b":")
_WHOLE_FRAMES = (b"}\n\n", b"]\n\n", b"}\r\n\r\n", b"]\r\n\r\n")
# What servers that speak OpenAI's protocol besides write behind the end.
_NO_JSON = (b"", b"DONE", b"[DONE]")


def is_page(raw: bytes) -> bool:
    """Tell whether *raw* is, or is a part of, something else than frames: an error page, or half a frame."""
    # A frame that was cut may end with a brace, too: that of one of its parts.
    if raw.startswith(_FIELDS) and raw.endswith(_WHOLE_FRAMES):
        return False
    lines = raw.splitlines()
    return not all(_is_of_a_frame(line) for line in lines if line.strip()) and not _is_one_of_many_lines(lines)


def _is_of_a_frame(line: bytes) -> bool:
    """Tell whether *line* is a comment, a field, or whole data."""
    if not line.startswith(b"data:"):
        return line.startswith(_FIELDS)
    said = line.removeprefix(b"data:").strip()
    try:
        return said in _NO_JSON or isinstance(json.loads(said), dict | list)
    except (ValueError, RecursionError):
        return False


def _is_one_of_many_lines(lines: list[bytes]) -> bool:
    """Tell whether *lines* are one frame's, whose data goes over several of them."""
    if not lines[0].startswith(b"data:"):
        return False
    try:
        return isinstance(json.loads(b"\n".join(line.removeprefix(b"data:") for line in lines)), dict | list)
    except (ValueError, RecursionError):
        return False
