"""What a chunk of a stream means to the guard, route by route; the chunk itself is never changed.

A chunk is what LiteLLM hands to the stream hook: objects for chat, completions and responses, frames as bytes or text
for messages and genai (1.80 - 1.109).
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from litellm_cancel_guard.lease.routes import last_messages_frame
from litellm_cancel_guard.terminal.events import Begun
from litellm_cancel_guard.terminal.failure import cut_off, failure_in, failure_in_text
from litellm_cancel_guard.terminal.frames import Frames
from litellm_cancel_guard.terminal.pages import is_page

if TYPE_CHECKING:
    from litellm_cancel_guard.terminal.failure import Failure

# The line that names an error: a text that speaks of one has its line breaks escaped and does not look so.
_ERROR_LINE = re.compile(rb"^event: ?error\r?$", re.MULTILINE)
_NAME_OR_DATA = re.compile(rb"^(?:event: ?(\w+)|data: ?(.+))\r?$", re.MULTILINE)
# A text that holds these words has its quotes escaped.
_GOOGLE_END = re.compile(rb'(?<!\\)"(?:finishReason|blockReason)"\s*:\s*["\d]')
_RESPONSE_ENDS = ("response.completed", "response.incomplete", "response.failed", "error")
FAILURES = ("response.failed", "error")
_OPENING_EVENTS = (
    *("response.created", "response.queued", "response.in_progress"),
    *("response.output_item.added", "response.content_part.added"),
)


class Reading:
    """What has been seen of one stream. One subclass per protocol; this one knows nothing of any.

    Attributes:
        content: something that a client waits for has come; only opening frames before it.
        whole: the stream's own terminal marker has come.
        understood: no chunk has come of a kind that this protocol does not know.
        tells_truncation: whether a stream of this protocol that ends without `whole` was cut.
        reads_on: whether anything is made of what comes behind the first content.
        begun: what a Responses stream has said of itself.
        framed: its chunks are frames in bytes, of which `frames` keeps the end of one that is half a frame.
    """

    tells_truncation = framed = False
    reads_on = True

    def __init__(self) -> None:
        self.content = False
        self.whole = False
        self.understood = True
        self.begun = Begun()
        self.frames = Frames()

    def is_ordinary(self, chunk: Any) -> bool:  # noqa: ARG002 - for the subclasses
        """Tell at little cost whether *chunk*, which comes after the first content, goes out as it is, and unread.

        Where a stream is read by chunks as they come, it is asked of each. It raises nothing.
        """
        return False

    def said(self) -> Begun:
        """Return what a Responses stream has said of itself."""
        return self.begun

    @property
    def cut(self) -> bool | None:
        """Whether a stream that ends now was cut; None where this protocol does not tell."""
        return not self.whole if self.tells_truncation and self.understood else None

    def read(self, chunk: Any) -> Failure | None:
        """Take note of *chunk*; return the failure that it reports, if it does."""
        self.content = chunk is not None
        return None


class ChatReading(Reading):
    """Chat and completions. A cut stream can't be told here: LiteLLM has given it a finish_reason (mends do)."""

    reads_on = False

    def read(self, chunk: Any) -> Failure | None:  # noqa: D102 - as in Reading
        if self.content:
            return None
        choices = getattr(chunk, "choices", None)
        self.content = choices is None or not all(_is_opening(choice) for choice in choices) or _has_usage(chunk)
        return None


def _is_opening(choice: Any) -> bool:
    """Tell whether a choice carries nothing but a role: no text, tool call, reasoning, audio or finish_reason."""
    if getattr(choice, "finish_reason", None) or getattr(choice, "text", None):
        return False
    delta = getattr(choice, "delta", None)
    if delta is None:
        return True
    said = plain(delta)
    return not any(value for name, value in said.items() if name != "role")


def _has_usage(chunk: Any) -> bool:
    return getattr(chunk, "usage", None) is not None


class MessagesReading(Reading):
    """Anthropic's frames."""

    tells_truncation = framed = True

    def is_ordinary(self, chunk: Any) -> bool:  # noqa: D102 - as in Reading
        if self.frames.open:
            return False
        if type(chunk) is not bytes:
            return type(chunk) is str and not ("message_" in chunk or "error" in chunk)
        # Made a text, byte by byte, and looked through twice, it takes half the time of one look at the bytes (3.11).
        said = chunk.decode("latin-1")
        if "message_" in said or "error" in said:
            return False
        return chunk[-2:] == b"\n\n" or chunk[-4:] == b"\r\n\r\n"

    def read(self, chunk: Any) -> Failure | None:  # noqa: D102 - as in Reading
        if isinstance(chunk, dict):
            return self._read_event(chunk)
        raw = _raw(chunk)
        self.understood = self.understood and isinstance(chunk, bytes | bytearray | str)
        if not self.content and b"content_block_delta" in raw:
            self.content = True
        if self.whole and b"event: message_start" in raw:
            # A callback has LiteLLM ask again, and a second answer follows the first: see `host.going_on`.
            self.whole = False
        if last_messages_frame(raw):
            self.whole = self.content = True
        return _failure_of_frames(raw) if b'"error"' in raw or _names_an_error(raw) else None

    def _read_event(self, event: dict[str, Any]) -> Failure | None:
        kind = event.get("type")
        self.content = self.content or kind in ("content_block_delta", "message_stop")
        self.whole = self.whole or kind == "message_stop"
        return failure_in(event) if kind == "error" or event.get("error") else None


class GenaiReading(Reading):
    """Google's frames. Any of them is content: there are no opening ones.

    LiteLLM hands on line by line what it does not understand, so that an error page arrives as frames too.
    """

    tells_truncation = framed = True

    def is_ordinary(self, chunk: Any) -> bool:  # noqa: D102 - as in Reading
        if type(chunk) is not bytes or self.frames.open:
            return False
        said = chunk.decode("latin-1")
        if 'Reason"' in said or '"error"' in said or chunk[:5] != b"data:":
            return False
        return chunk[-3:] == b"}\n\n" or chunk[-5:] == b"}\r\n\r\n"

    def read(self, chunk: Any) -> Failure | None:  # noqa: D102 - as in Reading
        raw = _raw(chunk)
        self.understood = self.understood and isinstance(chunk, bytes | bytearray | str)
        if self.understood and not self.whole and is_page(raw):
            # Of a frame that was cut the model's own words would be taken for an error page's.
            half = raw.startswith(b"data:") and b'"candidates"' in raw
            return cut_off() if half else failure_in_text(raw.decode(errors="replace"))
        failure = _failure_of_frames(raw) if b'"error"' in raw and b'"candidates"' not in raw else None
        self.content = self.content or failure is None
        self.whole = self.whole or _GOOGLE_END.search(raw) is not None
        return failure


class ResponsesReading(Reading):
    """Events of the Responses API, as objects or as dicts."""

    tells_truncation = True

    def __init__(self) -> None:
        super().__init__()
        self._passed: Any = None

    def is_ordinary(self, chunk: Any) -> bool:  # noqa: D102 - as in Reading
        try:
            kind = getattr(chunk, "type", None)
        except Exception:
            return False  # `read` has the same fault
        if not isinstance(kind, str) or not kind.endswith(".delta"):
            return False
        self._passed = chunk
        return True

    def said(self) -> Begun:  # noqa: D102 - as in Reading
        self._note(self._passed)
        return self.begun

    def read(self, chunk: Any) -> Failure | None:  # noqa: D102 - as in Reading
        kind = event_type(chunk)
        self._passed = None
        self.understood = self.understood and isinstance(kind, str)
        self._note(chunk)
        self.content = self.content or kind not in (*_OPENING_EVENTS, *FAILURES)
        if kind not in _RESPONSE_ENDS:
            return None
        self.whole = True
        return failure_in(plain(chunk)) if kind in FAILURES else None

    def _note(self, chunk: Any) -> None:
        number, response = _field(chunk, "sequence_number"), _field(chunk, "response")
        if isinstance(number, int):
            self.begun.sequence_number = number
        if response is None:
            return
        self.begun.id = str(_field(response, "id") or self.begun.id)
        self.begun.model = str(_field(response, "model") or self.begun.model)
        created = _field(response, "created_at")
        self.begun.created_at = int(created) if isinstance(created, int | float) else self.begun.created_at


def event_type(event: Any) -> Any:
    """Return the type of a Responses API's event, which is an object or a dict, and its type a text or an enum."""
    said = _field(event, "type")
    return getattr(said, "value", said)


def _field(holder: Any, name: str) -> Any:
    return holder.get(name) if isinstance(holder, dict) else getattr(holder, name, None)


def plain(chunk: Any) -> Any:
    """Return a model as a dict; a dict is one already, and what is neither stays what it is."""
    return chunk.model_dump(mode="json") if hasattr(chunk, "model_dump") else chunk


def _raw(chunk: Any) -> bytes:
    if isinstance(chunk, str):
        return chunk.encode(errors="replace")
    return bytes(chunk) if isinstance(chunk, bytes | bytearray) else b""


def _names_an_error(raw: bytes) -> bool:
    return b"error" in raw and _ERROR_LINE.search(raw) is not None


def _failure_of_frames(raw: bytes) -> Failure | None:
    """Return the failure that one of several frames tells of, by its name or by what it holds.

    Gateways leave the name out (BerriAI/litellm#41826), and llama.cpp's server the object that is named `error`.
    """
    named = False
    for name, line in _NAME_OR_DATA.findall(raw):
        named = name == b"error" if name else named
        if not line:
            continue
        try:
            event = json.loads(line)
        except (ValueError, RecursionError):
            continue
        failure = failure_in(event)
        if failure is None and named and isinstance(event, dict):
            failure = failure_in({"error": event})
        if failure is not None:
            return failure
    return None
