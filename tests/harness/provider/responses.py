"""OpenAI's Responses protocol: every event is numbered, and the last one carries the whole answer."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING, Any, ClassVar

from tests.harness.provider.script import word, words
from tests.harness.provider.wire import sse

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.harness.provider.wire import Json

# Begins the name of an error that is a `response.failed`; its code follows.
FAILED = "failed-"
_ITEM = "msg_1"
_PLACE: Json = {"item_id": _ITEM, "output_index": 0, "content_index": 0}


@dataclass(frozen=True)
class Responses:
    """One response with one message of one text part."""

    model: str
    content_type: ClassVar[str] = "text/event-stream"
    _numbers: Iterator[int] = field(default_factory=count)

    def plain(self, chunks: int) -> Json:
        usage = {
            "input_tokens": 7,
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens": chunks,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": 7 + chunks,
        }
        return self._response("completed", [self._item("completed", words(chunks))], usage=usage)

    def opening(self) -> bytes:
        begun = self._response("in_progress", [])
        return (
            self._event("response.created", response=begun)
            + self._event("response.in_progress", response=begun)
            + self._event("response.output_item.added", output_index=0, item=self._item("in_progress"))
            + self._event("response.content_part.added", **_PLACE, part=self._part(""))
        )

    def chunk(self, index: int) -> bytes:
        return self._event("response.output_text.delta", **_PLACE, delta=word(index), logprobs=[])

    def closing(self, chunks: int) -> bytes:
        text = words(chunks)
        return (
            self._event("response.output_text.done", **_PLACE, text=text, logprobs=[])
            + self._event("response.content_part.done", **_PLACE, part=self._part(text))
            + self._event("response.output_item.done", output_index=0, item=self._item("completed", text))
            + self._event("response.completed", response=self.plain(chunks))
        )

    def failure(self, status: int) -> Json:
        kind = "rate_limit_error" if status == 429 else "server_error"
        return {"error": {"message": f"scripted {status}", "type": kind, "param": None, "code": str(status)}}

    def error_event(self, status: int) -> bytes:
        code = "rate_limit_exceeded" if status == 429 else "server_error"
        return self._event("error", code=code, message=f"scripted {status}", param=None)

    def failed(self, code: str) -> bytes:
        """As OpenAI ends a response that it began: the code stands in it."""
        failed = {**self._response("failed", []), "error": {"code": code, "message": f"scripted {code}"}}
        return self._event("response.failed", response=failed)

    def _event(self, kind: str, **more: Any) -> bytes:
        return sse({"type": kind, "sequence_number": next(self._numbers), **more}, kind)

    @staticmethod
    def _part(text: str) -> Json:
        return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}

    def _item(self, status: str, text: str | None = None) -> Json:
        content = [] if text is None else [self._part(text)]
        return {"id": _ITEM, "type": "message", "role": "assistant", "status": status, "content": content}

    def _response(self, status: str, output: list[Json], usage: Json | None = None) -> Json:
        return {
            "id": "resp_1",
            "object": "response",
            "created_at": 1_700_000_000,
            "status": status,
            "model": self.model,
            "output": output,
            "usage": usage,
            "error": None,
            "incomplete_details": None,
            "instructions": None,
            "metadata": {},
            "parallel_tool_calls": True,
            "temperature": 1.0,
            "tool_choice": "auto",
            "tools": [],
            "top_p": 1.0,
        }


@dataclass(frozen=True)
class ToolCalling(Responses):
    """One response that asks for a call of the tool, with the scripts of the request in its arguments."""

    tool: str = ""
    marks: str = ""

    def opening(self) -> bytes:
        begun = self._response("in_progress", [])
        return self._event("response.created", response=begun) + self._event("response.in_progress", response=begun)

    def chunk(self, index: int) -> bytes:
        return b""

    def plain(self, chunks: int) -> Json:
        return {**super().plain(chunks), "output": [self._call()]}

    def closing(self, chunks: int) -> bytes:
        return (
            self._event("response.output_item.added", output_index=0, item=self._call())
            + self._event("response.output_item.done", output_index=0, item=self._call())
            + self._event("response.completed", response=self.plain(chunks))
        )

    def _call(self) -> Json:
        arguments = json.dumps({"text": self.marks})
        call = {"type": "function_call", "id": "fc_1", "call_id": "call_1", "status": "completed"}
        return {**call, "name": self.tool, "arguments": arguments}
