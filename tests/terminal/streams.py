"""Whole streams of each protocol, as any server may write them, and how many of their bytes it takes to be whole."""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

if TYPE_CHECKING:
    from collections.abc import Callable

TELLING = (
    *("\u2028", "错误", "[DONE]", "\\", "event: error\n\ndata: {}"),
    *('"finish_reason": "stop"', '{"error": {"code": 429}}', "}\n\n"),
)
WORDS = st.text(max_size=8) | st.sampled_from(TELLING)
CUTS = st.lists(st.integers(0, 10**6), max_size=6)


@dataclass(frozen=True)
class Stream:
    """`body`; `end`: so many of its bytes, and it is whole."""

    body: bytes
    end: int

    def cut(self, at: int) -> bytes:
        return self.body[: at % self.end]


@dataclass(frozen=True)
class Hand:
    """How a server writes: its line ends, the blanks in its JSON, whether it escapes what is not ASCII."""

    line_end: str
    separators: tuple[str, str]
    ascii: bool
    named: bool
    comment: str

    def json(self, data: Any) -> bytes:
        return json.dumps(data, separators=self.separators, ensure_ascii=self.ascii).encode(errors="replace")

    def frame(self, data: Any, event: str = "") -> bytes:
        comment = f": {self.comment}{self.line_end * 2}" if self.comment else ""
        name = f"event: {event}{self.line_end}" if event and self.named else ""
        return f"{comment}{name}data: ".encode() + self.json(data) + (self.line_end * 2).encode()

    @property
    def done(self) -> bytes:
        return f"data: [DONE]{self.line_end * 2}".encode()


HANDS = st.builds(
    Hand,
    line_end=st.sampled_from(["\n", "\r\n"]),
    separators=st.sampled_from([(", ", ": "), (",", ":")]),
    ascii=st.booleans(),
    named=st.booleans(),
    comment=st.sampled_from(["", "", "keep-alive"]),
)


def whole(hand: Hand, frames: list[bytes], last: bytes, rest: bytes = b"") -> Stream:
    """Of a stream whose answer ends with the JSON of *last*."""
    before = b"".join(frames) + last
    return Stream(before + rest, len(before.rstrip()))


def _chunk(choices: list[dict[str, Any]], kind: str = "chat.completion.chunk", **more: Any) -> dict[str, Any]:
    return {"id": "c", "object": kind, "created": 1, "model": "m", "choices": choices, **more}


def _chat(hand: Hand, words: list[str], usage: bool) -> Stream:
    def frame(delta: dict[str, Any], finish: str | None = None) -> bytes:
        return hand.frame(_chunk([{"index": 0, "delta": delta, "finish_reason": finish}]))

    call = {"tool_calls": [{"index": 0, "id": "t", "type": "function", "function": {"name": "f", "arguments": "{}"}}]}
    said = [frame({"role": "assistant", "content": ""}), *(frame({"content": word}) for word in words), frame(call)]
    told = hand.frame(_chunk([], usage={"total_tokens": 9})) if usage else b""
    return whole(hand, said, frame({}, "tool_calls"), told + hand.done)


def _several(hand: Hand, words: list[str], usage: bool) -> Stream:
    def frame(index: int, delta: dict[str, Any], finish: str | None = None) -> bytes:
        return hand.frame(_chunk([{"index": index, "delta": delta, "finish_reason": finish}]))

    said = [frame(at % 2, {"content": word}) for at, word in enumerate(["a", "b", *words])]
    return whole(hand, [*said, frame(1, {}, "stop")], frame(0, {}, "length"), hand.done)


def _completions(hand: Hand, words: list[str], usage: bool) -> Stream:
    def frame(text: str, finish: str | None = None) -> bytes:
        choice = {"index": 0, "text": text, "logprobs": None, "finish_reason": finish}
        return hand.frame(_chunk([choice], "text_completion"))

    return whole(hand, [frame(word) for word in words], frame("", "length"), hand.done)


def _ollama(hand: Hand, words: list[str], usage: bool) -> Stream:
    def line(text: str, **more: Any) -> bytes:
        said = {"model": "m", "message": {"role": "assistant", "content": text}, "done": False, **more}
        return hand.json(said) + hand.line_end.encode()

    return whole(hand, [line(word) for word in words], line("", done=True, done_reason="stop", eval_count=3))


def _messages(hand: Hand, words: list[str], usage: bool) -> Stream:
    def event(kind: str, **more: Any) -> bytes:
        return hand.frame({"type": kind, **more}, kind)

    message = {"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": []}
    said = [
        event("message_start", message=message),
        event("content_block_start", index=0, content_block={"type": "text", "text": ""}),
        event("ping"),
        *(event("content_block_delta", index=0, delta={"type": "text_delta", "text": word}) for word in words),
        event("content_block_stop", index=0),
        event("message_delta", delta={"stop_reason": "end_turn"}, usage={"output_tokens": 3}),
    ]
    last = event("message_stop")
    found = whole(hand, said, last)
    # Its name is an end already: nothing but `{"type": "message_stop"}` follows.
    name = last.find(b"message_stop") + len(b"message_stop") if hand.named else len(last.rstrip())
    return Stream(found.body, len(b"".join(said)) + name)


def _genai(hand: Hand, words: list[str], usage: bool) -> Stream:
    def frame(text: str, **more: Any) -> bytes:
        candidate = {"content": {"role": "model", "parts": [{"text": text}]}, "index": 0, **more}
        return hand.frame({"candidates": [candidate], "usageMetadata": {"totalTokenCount": 9}, "responseId": "g"})

    behind = hand.frame({"usageMetadata": {"totalTokenCount": 9}}) if usage else b""
    return whole(hand, [frame(word) for word in words], frame("", finishReason="STOP"), behind)


def _responses(hand: Hand, words: list[str], usage: bool) -> Stream:
    def event(kind: str, **more: Any) -> bytes:
        return hand.frame({"type": kind, **more}, kind)

    said = [
        event("response.created", response={"id": "r", "status": "in_progress"}),
        *(event("response.output_text.delta", delta=word) for word in words),
        event("response.output_text.done", text="".join(words)),
    ]
    return whole(hand, said, event("response.completed", response={"id": "r", "status": "completed"}))


def _of(made: Callable[[Hand, list[str], bool], Stream]) -> st.SearchStrategy[Stream]:
    return st.builds(made, HANDS, st.lists(WORDS, min_size=1, max_size=5), st.booleans())


AT_THE_WIRE = {"chat": _of(_chat), "several": _of(_several), "completions": _of(_completions), "ollama": _of(_ollama)}
MESSAGES, GENAI, RESPONSES = _of(_messages), _of(_genai), _of(_responses)


def pieces(body: bytes, cuts: list[int]) -> list[bytes]:
    ends = sorted({0, len(body), *(cut % (len(body) + 1) for cut in cuts)})
    return [body[start:end] for start, end in pairwise(ends)]
