"""What Bedrock sent, as it was sent: one response stream of `ConverseStream` or of a model's own, message by message.

LiteLLM makes `stop` of the reasons that it does not know (1.83 - 1.110), and of a stream that is cut (1.83); an
exception in mid-stream is a 400 there, and one of them a 424 (1.110, llms/bedrock/chat/invoke_handler.py). Messages are
framed by AWS's event stream encoding (docs.aws.amazon.com, Transcribe: "Event stream encoding").
"""

from __future__ import annotations

import base64
import json
import struct
import zlib
from typing import TYPE_CHECKING, Any

from litellm_cancel_guard.terminal import wording
from litellm_cancel_guard.terminal.ends import failure_by
from litellm_cancel_guard.terminal.failure import Failure, cut_off, failure_in
from litellm_cancel_guard.terminal.meanings import BROKEN_OFF, meant_by

if TYPE_CHECKING:
    from collections.abc import Iterator

_PRELUDE = struct.Struct("!III")
_BEHIND = 4
# What says that it is longer is none (botocore 1.42, eventstream.py: 24 MiB, and 128 KiB of headers).
_LONGEST = 25 * 2**20
_TEXT, _CHUNK, _BYTES = b"\x07", "chunk", b'"bytes":'
# By this in its headers the next words of `ConverseStream` are told in a fraction of the time.
_WORDS, _HEADED = b":event-type\x07\x00\x11contentBlockDelta", 256
# What may be more than the next words of an answer. In a text these have their quotes escaped.
_TELLING = (b'eason"', b'"error"', b'"message_stop"', b"Metrics")
# What begins or brings words: events of `ConverseStream` and of Nova's own stream, and Anthropic's.
_PARTS = ("messageStart", "contentBlockStart", "contentBlockDelta")
_CLAUDES = ("message_start", "content_block_start", "content_block_delta", "completion")
# Of the others, by which a model's own stream is one whose reasons are known here: Llama's, Titan's, Mistral's,
# Cohere's, and those that write OpenAI's (docs.aws.amazon.com, "Inference request parameters").
_KNOWN = (*_PARTS, "generation", "outputText", "outputs", "is_finished", "choices")
# What of them is words.
_SAID = (*_PARTS, "generation", "outputText", "text", "content", "reasoning_content", "reasoning", "tool_calls")
# Bedrock's own count, in the last chunk of whatever model's stream.
_METRICS = "amazon-bedrock-invocationMetrics"


class Messages:
    """One stream.

    Attributes:
        failure: what it has reported; None where it has not.
        over: its answer has ended, with a reason or Bedrock's count, and no words have come behind it.
    """

    __slots__ = ("_needs", "_open", "_silent", "_speaks", "_unread", "failure", "over")

    def __init__(self) -> None:
        self.failure: Failure | None = None
        self.over = self._speaks = self._unread = False
        self._silent = True
        self._open = bytearray()
        self._needs = _PRELUDE.size

    def read(self, data: bytes) -> bytes:
        """Return what may be read on by LiteLLM: whole messages, and none from the first that tells of a failure on."""
        if self._unread:
            return data
        if self._open or len(data) < self._needs:
            self._open += data
            if len(self._open) < self._needs:
                return b""
            data = bytes(self._open)
        seen, start = data, 0
        for end in self._ends(seen):
            self._see(seen[start:end])
            if self.failure is not None:
                break
            start = end
        else:
            start = len(seen) if self._unread else start
        self._open = bytearray(seen[start:])
        return seen[:start] if self._open else seen

    def give_up(self) -> bytes:
        """Know nothing of this stream: it is what LiteLLM makes of it. Return what of it was kept back."""
        self._unread, self.over, self.failure = True, False, None
        kept, self._open = bytes(self._open), bytearray()
        return kept

    def rest(self) -> bytes:
        """Return what of a stream that has ended was kept back.

        Behind its answer, nothing: a whole one would fail of half a message (LiteLLM 1.105 - 1.110).
        """
        return b"" if self.over or self.failure is not None else bytes(self._open)

    def verdict(self) -> Failure | None:
        """Return how a stream that has ended was cut; None if it is whole, or it is not known here how one ends."""
        known = self.known or (self._silent and not self._unread)
        return cut_off() if known and not self.over else None

    @property
    def known(self) -> bool:
        """Whether it has begun an answer whose end is known here."""
        return self._speaks and not self._unread

    def _ends(self, seen: bytes) -> Iterator[int]:
        """Yield where each whole message ends, and note how long the next one is; what is none ends the reading."""
        at = 0
        while len(seen) - at >= _PRELUDE.size:
            length, _, check = _PRELUDE.unpack_from(seen, at)
            if not _PRELUDE.size < length <= _LONGEST or zlib.crc32(seen[at : at + 8]) != check:
                self._unread = True
                return
            self._needs = length
            if len(seen) - at < length:
                return
            at += length
            self._needs = _PRELUDE.size
            yield at

    def _see(self, message: bytes) -> None:
        if self._speaks and not self.over and message.find(_WORDS, 0, _HEADED) > 0:
            return
        _, length, _ = _PRELUDE.unpack_from(message)
        payload = message[_PRELUDE.size + length : -_BEHIND]
        headers = message[_PRELUDE.size : _PRELUDE.size + length]
        kind = _header(headers, b":event-type")
        self._silent = False
        if not kind or kind.endswith("Exception"):
            self.failure = _exception(headers, payload)
        elif kind == _CHUNK:
            self._see_chunk(base64.b64decode(_bytes_in(payload)))
        elif kind == "messageStop":
            self._end(_parsed(payload).get("stopReason"))
        elif kind in _PARTS:
            # What is an event of `ConverseStream` ends in a `messageStop`.
            self._speaks, self.over = True, False

    def _see_chunk(self, data: bytes) -> None:
        if self._speaks and not self.over and not any(mark in data for mark in _TELLING):
            return
        event = _parsed(data)
        self._speaks = self._speaks or event.get("type") in _CLAUDES or any(name in event for name in _KNOWN)
        self.failure = failure_in(event) if event.get("type") == "error" or event.get("error") else None
        reason = _reason_in(event)
        if reason or event.get("type") == "message_stop" or _METRICS in event:
            self._end(reason)
        elif self.over:
            # A trace, OpenAI's usage and Nova's metadata come behind an end, too, and say no more.
            self.over = not _has_words(event)

    def _end(self, reason: Any) -> None:
        self._speaks = self.over = True
        if isinstance(reason, str) and self.failure is None:
            self.failure = failure_by(reason)


def _bytes_in(payload: bytes) -> bytes:
    """Return the base64 text of a chunk: no quote is in it, and `"bytes"` in nothing that stands before it."""
    named = payload.find(_BYTES)
    start = payload.find(b'"', named + len(_BYTES)) + 1
    return payload[start : payload.find(b'"', start)] if named >= 0 < start else b""


def _reason_in(event: dict[str, Any]) -> Any:
    """Return the reason by which a model's own stream ends; None where it goes on."""
    holders = (event, event.get("delta"), event.get("messageStop"), _first(event))
    names = ("stop_reason", "completionReason", "finish_reason", "stopReason")
    said = (holder.get(name) for holder in holders if isinstance(holder, dict) for name in names)
    return next((reason for reason in said if reason), None)


def _has_words(event: dict[str, Any]) -> bool:
    first = _first(event)
    holders = (event, first, first.get("delta"), first.get("message"))
    said = (holder.get(name) for holder in holders if isinstance(holder, dict) for name in _SAID)
    return event.get("type") in _CLAUDES or any(said)


def _first(event: dict[str, Any]) -> dict[str, Any]:
    listed = event.get("outputs") or event.get("choices")
    first = listed[0] if isinstance(listed, list) and listed else None
    return first if isinstance(first, dict) else {}


def _exception(headers: bytes, payload: bytes) -> Failure | None:
    """Return what a message of the kind `exception` or `error` tells of: its name is in a header.

    None where it is of neither kind: LiteLLM reads what has no name at all, or passes it over.
    """
    named = (_header(headers, name) for name in (b":exception-type", b":error-code", b":event-type"))
    name = next(filter(None, named), "")
    if not name and _header(headers, b":message-type") not in ("exception", "error"):
        return None
    words = _parsed(payload).get("message") or _header(headers, b":error-message")
    status = meant_by(name) or BROKEN_OFF
    return Failure(status, wording.cleaned(words if isinstance(words, str) else "", status))


def _header(headers: bytes, name: bytes) -> str:
    """Return the text of a header, whose length stands before it in two bytes; nothing where there is none."""
    start = headers.find(name + _TEXT) + len(name) + 1
    if start <= len(name):
        return ""
    length = int.from_bytes(headers[start : start + 2], "big")
    return headers[start + 2 : start + 2 + length].decode(errors="replace")


def _parsed(data: bytes) -> dict[str, Any]:
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
