"""Ollama's chat: newline-delimited JSON."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from tests.harness.provider.script import word, words

if TYPE_CHECKING:
    from tests.harness.provider.wire import Json


@dataclass(frozen=True)
class Ollama:
    """`/api/chat`."""

    model: str
    content_type: ClassVar[str] = "application/x-ndjson"

    def plain(self, chunks: int) -> Json:
        return self._line(words(chunks), done=True, done_reason="stop", prompt_eval_count=7, eval_count=chunks)

    def opening(self) -> bytes:
        return b""

    def chunk(self, index: int) -> bytes:
        return _written(self._line(word(index), done=False))

    def closing(self, chunks: int) -> bytes:
        return _written(self._line("", done=True, done_reason="stop", prompt_eval_count=7, eval_count=chunks))

    def failure(self, status: int) -> Json:
        return {"error": f"scripted {status}"}

    def error_event(self, status: int) -> bytes:
        return _written(self.failure(status))

    def _line(self, text: str, **more: Any) -> Json:
        said = {"model": self.model, "created_at": "2026-01-01T00:00:00.000000Z"}
        return {**said, "message": {"role": "assistant", "content": text}, **more}


def _written(line: Json) -> bytes:
    return json.dumps(line).encode() + b"\n"
