"""What providers and gateways have really sent where they failed: by name, each with the status that it means.

`words` is what a client should read of it; empty where it says nothing that one could.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from tests.harness.provider.wire import sse

# Begins the name of an error that is one of these.
TOLD = "told-"
_SAID = "the words of"


@dataclass(frozen=True)
class Told:
    frames: bytes
    status: int
    words: str = ""


def _said(name: str) -> str:
    return f"{_SAID} {name}"


def _openai(name: str, status: int, **error: Any) -> Told:
    return Told(sse({"error": {"message": _said(name), **error}}), status, _said(name))


def _flat(name: str, status: int, event: str = "", **said: Any) -> Told:
    return Told(sse({"message": _said(name), **said}, event), status, _said(name))


def _anthropic(name: str, status: int, event: str = "", **error: Any) -> Told:
    return Told(sse({"type": "error", "error": {"message": _said(name), **error}}, event), status, _said(name))


_ROUTED = {"id": "gen-1", "object": "chat.completion.chunk", "created": 1_700_000_000, "model": "some/model"}

# In OpenAI's chat protocol, whoever speaks it.
CHAT = {
    "number": _openai("number", 429, type="some_error", code=429),
    "text": _openai("text", 503, type="some_error", code="503"),
    "refused": _openai("refused", 400, type="invalid_request_error", code=400),
    "unauthorized": _openai("unauthorized", 401, type="authentication_error", code="401"),
    "word": _openai("word", 429, type="rate_limit_exceeded", code=None),
    "overloaded": _openai("overloaded", 529, type="overloaded_error", code=None),
    "server": _openai("server", 500, type="server_error", code=None),
    "unnamed": _openai("unnamed", 503),
    # z.ai (docs.z.ai/api-reference/api-code), with its request_id beside the error.
    "zai1302": _openai("zai1302", 429, code="1302"),
    "zai1305": _openai("zai1305", 429, code="1305"),
    "zai1301": _openai("zai1301", 400, code="1301"),
    # SGLang's first frame (oh-my-pi#9812).
    "sglang": _openai("sglang", 503, object="error", type="Service Unavailable", param=None, code=503),
    # vercel/ai#10533.
    "xai": Told(
        sse({"code": "The service is currently unavailable", "error": "Timed out waiting for first token"}),
        503,
        "Timed out waiting for first token",
    ),
    # OpenRouter: no code (BerriAI/litellm#16226), and beside the choices with the operator's own id.
    "idle": Told(sse({"error": {"message": "Upstream idle timeout exceeded"}}), 504, "Upstream idle timeout exceeded"),
    "beside": Told(
        sse(
            _ROUTED
            | {
                "provider": "Some",
                "error": {"code": 502, "message": "Provider disconnected", "metadata": None},
                "user_id": "user_2abcDEFghiJKLmnoPQRstuVWX",
                "choices": [{"index": 0, "delta": {"content": ""}, "finish_reason": "error"}],
            }
        ),
        502,
        "Provider disconnected",
    ),
    "routed": Told(
        sse(
            {
                "error": {"code": 429, "message": "Provider returned error", "metadata": None},
                "user_id": "user_2abcDEFghiJKLmnoPQRstuVWX",
            }
        ),
        429,
        "Provider returned error",
    ),
}
# Newline-delimited JSON, of Ollama.
OLLAMA = {
    "eof": Told(
        json.dumps({"error": "an error was encountered while running the model: unexpected EOF"}).encode() + b"\n",
        503,
        "an error was encountered while running the model: unexpected EOF",
    ),
}
# In Anthropic's protocol, by gateways that speak it.
ANTHROPIC = {
    "named": _anthropic("named", 529, "error", type="overloaded_error"),
    "nameless": _anthropic("nameless", 529, type="overloaded_error"),
    "openais": _openai("openais", 429, type="rate_limit_error", code="429"),
    "own-code": _anthropic("own-code", 429, "error", type="1302"),
    # llama.cpp's server.
    "llama": _flat("llama", 500, "error", code=500, type="server_error"),
}
# Of the Responses API: Azure's filter gives its reason one frame later (maximhq/bifrost#6419).
_FAILED = {
    "id": "resp_1",
    "object": "response",
    "created_at": 1_700_000_000,
    "status": "failed",
    "model": "m",
    "output": [],
    "error": None,
}
RESPONSES = {
    "filtered": Told(
        sse({"type": "response.failed", "sequence_number": 9, "response": _FAILED}, "response.failed")
        + sse(
            {
                "type": "error",
                "sequence_number": 10,
                "code": "content_policy_violation",
                "message": _said("filtered"),
                "param": None,
            },
            "error",
        ),
        400,
        _said("filtered"),
    ),
    "nested": Told(
        sse(
            {
                "type": "error",
                "sequence_number": 9,
                "error": {"type": "tokens", "code": "rate_limit_exceeded", "message": _said("nested"), "param": None},
            },
            "error",
        ),
        429,
        _said("nested"),
    ),
    "overloaded-response": Told(
        sse(
            {
                "type": "response.failed",
                "sequence_number": 9,
                "response": {**_FAILED, "error": {"code": "server_is_overloaded", "message": _said("it")}},
            },
            "response.failed",
        ),
        503,
        _said("it"),
    ),
}

ALL = CHAT | OLLAMA | ANTHROPIC | RESPONSES
