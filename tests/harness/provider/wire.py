"""The protocols of the providers: what a whole answer, a stream and an error look like on the wire."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

from tests.harness.provider.script import word, words

Json = dict[str, Any]
_CREATED = 1_700_000_000


def sse(data: Json | str, event: str = "") -> bytes:
    text = data if isinstance(data, str) else json.dumps(data)
    return (f"event: {event}\n" if event else "").encode() + f"data: {text}\n\n".encode()


class Wire(Protocol):
    """One protocol. `opening` goes out with the first chunk, `closing` holds the usage and the terminal marker."""

    @property
    def content_type(self) -> str: ...
    def plain(self, chunks: int) -> Json: ...
    def opening(self) -> bytes: ...
    def chunk(self, index: int) -> bytes: ...
    def closing(self, chunks: int) -> bytes: ...
    def failure(self, status: int) -> Json: ...
    def error_event(self, status: int) -> bytes: ...


@dataclass(frozen=True)
class _OpenAI:
    model: str
    content_type: ClassVar[str] = "text/event-stream"

    def failure(self, status: int) -> Json:
        kind = "rate_limit_error" if status == 429 else "server_error"
        return {"error": {"message": f"scripted {status}", "type": kind, "param": None, "code": str(status)}}

    def error_event(self, status: int) -> bytes:
        return sse(self.failure(status))


def _openai_usage(chunks: int) -> Json:
    return {"prompt_tokens": 7, "completion_tokens": chunks, "total_tokens": 7 + chunks}


@dataclass(frozen=True)
class Chat(_OpenAI):
    """OpenAI chat completions; also what the custom pass-through speaks."""

    def plain(self, chunks: int) -> Json:
        message = {"role": "assistant", "content": words(chunks)}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        return self._event("chat.completion", [choice], usage=_openai_usage(chunks))

    def opening(self) -> bytes:
        return self._delta({"role": "assistant", "content": ""})

    def chunk(self, index: int) -> bytes:
        return self._delta({"content": word(index)})

    def closing(self, chunks: int) -> bytes:
        usage = self._event("chat.completion.chunk", [], usage=_openai_usage(chunks))
        return self._delta({}, finish="stop") + sse(usage) + sse("[DONE]")

    def _delta(self, delta: Json, finish: str | None = None) -> bytes:
        return sse(self._event("chat.completion.chunk", [{"index": 0, "delta": delta, "finish_reason": finish}]))

    def _event(self, kind: str, choices: list[Json], **more: Any) -> Json:
        return {"id": "chat-1", "object": kind, "created": _CREATED, "model": self.model, "choices": choices, **more}


@dataclass(frozen=True)
class Completions(_OpenAI):
    """OpenAI's older text completions."""

    def plain(self, chunks: int) -> Json:
        return self._event([self._choice(words(chunks), "stop")], usage=_openai_usage(chunks))

    def opening(self) -> bytes:
        return b""

    def chunk(self, index: int) -> bytes:
        return sse(self._event([self._choice(word(index), None)]))

    def closing(self, chunks: int) -> bytes:
        end = self._event([self._choice("", "stop")], usage=_openai_usage(chunks))
        return sse(end) + sse("[DONE]")

    @staticmethod
    def _choice(text: str, finish: str | None) -> Json:
        return {"index": 0, "text": text, "logprobs": None, "finish_reason": finish}

    def _event(self, choices: list[Json], **more: Any) -> Json:
        kind = "text_completion"
        return {"id": "cmpl-1", "object": kind, "created": _CREATED, "model": self.model, "choices": choices, **more}


@dataclass(frozen=True)
class Embeddings(_OpenAI):
    """Never streamed."""

    def plain(self, chunks: int) -> Json:
        item = {"object": "embedding", "index": 0, "embedding": [0.25] * chunks}
        return {"object": "list", "model": self.model, "data": [item], "usage": _openai_usage(0)}

    def opening(self) -> bytes:
        raise NotImplementedError

    def chunk(self, index: int) -> bytes:
        raise NotImplementedError

    def closing(self, chunks: int) -> bytes:
        raise NotImplementedError


@dataclass(frozen=True)
class Transcriptions(_OpenAI):
    """OpenAI's, of what is heard in a file."""

    def plain(self, chunks: int) -> Json:
        return {"text": words(chunks), "usage": {"type": "tokens", "input_tokens": 7, **_heard(chunks)}}

    def opening(self) -> bytes:
        return b""

    def chunk(self, index: int) -> bytes:
        return sse({"type": "transcript.text.delta", "delta": word(index)})

    def closing(self, chunks: int) -> bytes:
        return sse({"type": "transcript.text.done", **self.plain(chunks)})


def _heard(chunks: int) -> Json:
    return {"output_tokens": chunks, "total_tokens": 7 + chunks}


@dataclass(frozen=True)
class Anthropic:
    """Anthropic messages."""

    model: str
    content_type: ClassVar[str] = "text/event-stream"

    def plain(self, chunks: int) -> Json:
        whole = {"content": [{"type": "text", "text": words(chunks)}], "stop_reason": "end_turn"}
        return {**self._message(chunks), **whole}

    def opening(self) -> bytes:
        block = {"type": "text", "text": ""}
        return (
            self._event("message_start", message=self._message(1))
            + self._event("content_block_start", index=0, content_block=block)
            + self._event("ping")
        )

    def chunk(self, index: int) -> bytes:
        return self._event("content_block_delta", index=0, delta={"type": "text_delta", "text": word(index)})

    def closing(self, chunks: int) -> bytes:
        delta = {"stop_reason": "end_turn", "stop_sequence": None}
        return (
            self._event("content_block_stop", index=0)
            + self._event("message_delta", delta=delta, usage={"output_tokens": chunks})
            + self._event("message_stop")
        )

    def failure(self, status: int) -> Json:
        kinds = {400: "invalid_request_error", 429: "rate_limit_error", 529: "overloaded_error"}
        kind = kinds.get(status, "api_error")
        return {"type": "error", "error": {"type": kind, "message": f"scripted {status}"}}

    def error_event(self, status: int) -> bytes:
        return sse(self.failure(status), "error")

    @staticmethod
    def _event(kind: str, **more: Any) -> bytes:
        return sse({"type": kind, **more}, kind)

    def _message(self, output_tokens: int) -> Json:
        usage = {"input_tokens": 7, "output_tokens": output_tokens}
        message = {"id": "msg_1", "type": "message", "role": "assistant", "model": self.model, "content": []}
        return {**message, "stop_reason": None, "stop_sequence": None, "usage": usage}


@dataclass(frozen=True)
class Gemini:
    """Google's generateContent; streamed as events (`alt=sse`) or as one JSON array."""

    model: str
    events: bool = True

    @property
    def content_type(self) -> str:
        return "text/event-stream" if self.events else "application/json"

    def plain(self, chunks: int) -> Json:
        return self._part(words(chunks), "STOP", chunks)

    def opening(self) -> bytes:
        return b"" if self.events else b"["

    def chunk(self, index: int) -> bytes:
        return self._frame(self._part(word(index), None, index + 1), index)

    def closing(self, chunks: int) -> bytes:
        end = self._frame(self._part("", "STOP", chunks), chunks)
        return end if self.events else end + b"]"

    def failure(self, status: int) -> Json:
        kind = {429: "RESOURCE_EXHAUSTED", 529: "UNAVAILABLE"}.get(status, "INTERNAL")
        return {"error": {"code": status, "message": f"scripted {status}", "status": kind}}

    def error_event(self, status: int) -> bytes:
        return self._frame(self.failure(status), 1)

    def _frame(self, data: Json, index: int) -> bytes:
        if self.events:
            return sse(data)
        return (b",\r\n" if index else b"") + json.dumps(data).encode()

    def _part(self, text: str, finish: str | None, tokens: int) -> Json:
        candidate: Json = {"index": 0, "content": {"role": "model", "parts": [{"text": text}]}}
        if finish:
            candidate["finishReason"] = finish
        usage = {"promptTokenCount": 7, "candidatesTokenCount": tokens, "totalTokenCount": 7 + tokens}
        return {"candidates": [candidate], "usageMetadata": usage, "modelVersion": self.model, "responseId": "g1"}


GEMINI_PATH = re.compile(r"/models/(?P<model>[^/:]+):(?P<method>\w+)$|:(?P<bare>\w+GenerateContent|generateContent)$")
