"""What a provider sent, as it was sent: one stream of OpenAI's protocol, Ollama's or Cohere's, before LiteLLM reads it.

LiteLLM's parsers make `stop` of reasons that they do not know, and nothing of a line that they can't read, of a field
that is not `data` and of an object without a frame (1.80 - 1.110). Here only what looks unusual is parsed: of a healthy
stream its first chunk and its last. What is kept does not grow with the stream.
"""

from __future__ import annotations

import json
import re
from typing import Any

from litellm_cancel_guard.terminal.ends import ENDS, failure_by
from litellm_cancel_guard.terminal.failure import Failure, cut_off, failure_in
from litellm_cancel_guard.terminal.meanings import BROKEN_OFF
from litellm_cancel_guard.terminal.usual import are_usual, behind_usual, is_usual, shape_of_bytes, shape_of_lines

_CUT = cut_off()
_BROKEN = "A part of the provider's answer could not be read."
# A line longer than this is not kept to be read as a whole; nor is more of a broken one.
_LONGEST = 16 * 2**20
# More choices than anybody asks for: what is kept has an end.
_CHOICES = 1024
_BEGUN, _FRAME = "data:", b"data: {"
_OBJECT = ("{", "[")
# The first and the last of Cohere's own events (docs.cohere.com/reference/chat-stream); the last may give no reason.
_COHERES_END = "message-end"
_COHERES = ("message-start", _COHERES_END)
_OTHER_FIELDS = (":", "id:", "retry:")
# An end that is written so is not found among chunks that are not parsed: a whole answer would be taken for a cut one.
_ODD_END = re.compile(r'(?:eason|done)"(?!: ?\S)')


class Wire:
    """One stream.

    Attributes:
        failure: what it has reported, in whatever shape; None where it has not.
        speaks: it is one of the protocols that are read here, whose answers end with a reason.
        reasons: by choice, the reason it ended with, as it was sent.
        done: `[DONE]` has come.
        told: an end that comes now is not the usual one.
        news: there is something to be made of the chunks that come now: an end, or what is told.
        by_line: each line is a chunk of its own.
        in_step: it is, and LiteLLM may see no end in it.
        heard: something has come.
    """

    __slots__ = (
        *("_asked", "_begun", "_event", "_held", "_lines", "_odd", "_open", "_over", "_reads", "_silent", "_simple"),
        *("by_line", "done", "failure", "heard", "in_step", "lost", "news", "reasons", "speaks", "told"),
    )

    def __init__(self, *, choices: int = 1, by_line: bool = False, in_step: bool = False) -> None:
        """Begin; of *choices*, as many as were asked for, those that have begun have to end."""
        self._asked = choices
        self.by_line, self.in_step = by_line or in_step, in_step
        self.failure: Failure | None = None
        self.speaks = self.done = self.lost = self.told = self.news = self.heard = False
        self.reasons: dict[int, str] = {}
        self._over, self._silent = False, True
        self._begun: set[int] = set()
        self._event = ""
        self._held = ""
        self._simple = self._odd = False
        # A line of megabytes comes in hundreds of reads: bytes would be copied anew with each.
        self._open = bytearray()
        self._reads, self._lines = shape_of_bytes(), shape_of_lines()

    def read(self, data: bytes) -> None:
        """Take note of one read of the connection, cut wherever the network cut it."""
        if not self._open and self._simple:
            if self._reads.fits(data):
                return
            if are_usual(data):
                self._reads.learn(data)
                return
        self.heard = True
        if b"\n" not in data:
            self._open += data
            self._bound()
            return
        data = bytes(self._open) + data
        if b"\r" in data:
            data = data.replace(b"\r\n", b"\n")
        start, looked = 0, False
        while True:
            if self._simple and not looked and data.startswith(_FRAME, start):
                # On a busy worker a whole answer comes in one read: most of it is passed over in one look, too.
                start, looked = behind_usual(data, start), True
            end = data.find(b"\n", start)
            if end < 0:
                break
            self.line(data[start:end].decode(errors="replace"))
            start = end + 1
        self._open = bytearray(data[start:])

    def line(self, line: str) -> None:
        """Take note of one line, without its end."""
        if self.done or (self._simple and self._lines.fits(line)):
            return
        self.heard = True
        self._take(line.strip().removeprefix("\ufeff"), line)
        # One choice speaks, in a protocol that is read here and as it is usually written, and all so far was read.
        self._simple = self.speaks and self._asked == 1 and not (self._held or self._event or self._odd)

    def _take(self, said: str, line: str) -> None:
        if said.startswith("data:"):
            self._data(said[5:].lstrip(), line)
        elif said.startswith(_OBJECT) and not self._held:
            self._data(said, line)
        elif said.startswith("error:"):
            self._fail({"error": _parsed(said.removeprefix("error:"))})
        elif said.startswith("event:"):
            self._event = said.removeprefix("event:").strip()
        elif said and not said.startswith(_OTHER_FIELDS):
            self._go_on(said)

    def verdict(self, *, tell_truncation: bool) -> Failure | None:
        """Return how a stream that has ended failed; None if it is whole, or not of a protocol that is read here."""
        if self._open.strip():
            self.line(self._open.decode(errors="replace"))
        self._lose()
        self._over = True
        return self.found(tell_truncation=tell_truncation)

    def found(self, *, tell_truncation: bool) -> Failure | None:
        """Return what a stream that may still go on has reported, what of it is lost, or that it ended too early."""
        if self.failure is not None or not tell_truncation:
            return self.failure
        if self.lost and self.speaks:
            return Failure(BROKEN_OFF, _BROKEN)
        if self._over and self._silent:
            return _CUT
        ended = self.done or self._over
        return _CUT if ended and self.speaks and not self.whole else None

    def give_up(self) -> None:
        """Know nothing of this stream: it is what LiteLLM makes of it."""
        self.speaks = self.told = self.news = self._silent = self._simple = False
        self.failure = None

    @property
    def whole(self) -> bool:
        """Whether each choice that has begun has ended with a reason."""
        return bool(self.reasons) and self._begun <= self.reasons.keys()

    @property
    def over(self) -> bool:
        """Whether nothing is left to be said: as many choices as were asked for have ended, and none has failed."""
        return len(self.reasons) >= self._asked and self.whole and self.failure is None and not self.lost

    @property
    def word(self) -> str | None:
        """The reason of the first choice, in OpenAI's word for it where there is one."""
        reason = self.reasons.get(0)
        return None if reason is None else ENDS.get(reason, reason)

    def _bound(self) -> None:
        """Read no further what never ends a line: LiteLLM's reading of it stays."""
        if len(self._open) > _LONGEST:
            self._open = bytearray()
            self.speaks = self._simple = False

    def _data(self, said: str, line: str) -> None:
        if said == "[DONE]":
            self._lose()
            self.done, self._silent = True, False
            self._tell(not self.whole)
            return
        event, self._event = self._event, ""
        if self._simple and is_usual(said) and not (self.in_step and _COHERES_END in said):
            self._lines.learn(line)
            return
        parsed = _parsed(said)
        if parsed is None:
            self._go_on(said)
            return
        self._odd = self._odd or _ODD_END.search(said) is not None
        self._lose()
        if event == "error" and isinstance(parsed, dict) and not parsed.get("error"):
            parsed = {"error": parsed}
        self._see(parsed)

    def _go_on(self, said: str) -> None:
        """Add *said* to what could not be read yet: an object in several lines, or one that LiteLLM's reader cut.

        httpx's lines end at U+2028, too, which JSON leaves as it is (LiteLLM up to 1.103, `aiter_lines`): nothing is
        lost on the wire then. What is no part of an object is a server's own remark.
        """
        if not self._held and not said.startswith(_OBJECT):
            self._silent = self._silent and _BEGUN.startswith(said)
            return
        held = f"{self._held}\n{said}" if self._held else said
        parsed = _parsed(held)
        if parsed is None and len(held) <= _LONGEST:
            self._held = held
            return
        self._held = held if parsed is None else ""
        self._lose()
        self._see(parsed)

    def _lose(self) -> None:
        """Give up what could not be read, now that something else has come; behind the end nothing is missed."""
        if self._held and not self.whole:
            self.lost = True
            self._tell(True)
        self._held = ""

    def _see(self, event: Any) -> None:
        if not isinstance(event, dict):
            return
        self._silent = False
        self._fail(event)
        choices = event.get("choices")
        for choice in choices if isinstance(choices, list) else ():
            if isinstance(choice, dict) and len(self._begun) < _CHOICES:
                self._choose(choice)
        if isinstance(event.get("done"), bool) and "model" in event:
            self.speaks = True
            if event["done"]:
                self._finish(0, event.get("done_reason") or "stop")
        elif event.get("type") in _COHERES or isinstance(event.get("is_finished"), bool):
            self.speaks = True
            self._hear_cohere(event)

    def _hear_cohere(self, event: dict[str, Any]) -> None:
        ended = event if event.get("is_finished") else event.get("delta")
        said = ended if isinstance(ended, dict) else {}
        reason, words = said.get("finish_reason"), said.get("error")
        if not reason and event.get("type") == _COHERES_END:
            reason = "ERROR" if words else "COMPLETE"
        if reason and isinstance(reason, str):
            self._finish(0, reason, words)

    def _choose(self, choice: dict[str, Any]) -> None:
        index = choice.get("index")
        if not isinstance(index, int):
            return
        # Azure's filters speak of a choice in a chunk of their own, behind its end, without a delta.
        if "delta" in choice or "text" in choice:
            self._begun.add(index)
        self.speaks = self.speaks or "finish_reason" in choice
        reason = choice.get("finish_reason")
        if isinstance(reason, str) and reason:
            self._finish(index, reason)

    def _finish(self, index: int, reason: str, words: Any = None) -> None:
        self.reasons[index] = reason
        self.news = True
        self._tell(ENDS.get(reason) != reason)
        if self.failure is None and (failure := failure_by(reason, words)) is not None:
            self.failure = failure
            self._tell(True)

    def _fail(self, event: Any) -> None:
        if self.failure is not None or not isinstance(event, dict):
            return
        failure = failure_in(event if event.get("error") or event.get("type") == "error" else {})
        if failure is not None:
            self.failure = failure
            self._tell(True)

    def _tell(self, unusual: bool) -> None:
        self.told = self.told or unusual
        self.news = self.news or unusual


def _parsed(said: str) -> Any:
    try:
        # Not strict: an object that came in several lines has their ends in it, wherever it was cut.
        return json.loads(said, strict=False)
    except (ValueError, RecursionError):
        return None
