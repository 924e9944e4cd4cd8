"""A failure -> the last event of its stream, in the protocol of its route. SSE frames are spelled only here.

What each client makes of its event (openai 3.54, anthropic 2.12, google-genai 3.4; tests/terminal):

- chat: a truthy top-level `error` is raised as `openai.APIError` with `.code`. LiteLLM writes `[DONE]` after it.
- messages: the `event: error` line is what counts; raised as `anthropic.APIStatusError` with `.type`. A frame without
  that line is dropped in silence. No `message_stop` follows: that would be a whole answer.
- responses: the official SDKs hand `response.failed` on as one more event, and raise on a top-level `error`; Codex
  and other typed clients know only `response.failed` and read its code, and its delay from the message; ai 4 and 5
  know only `error`, which 4 reads flat and 5 nested. So both come, as from OpenAI (vercel/ai#6534), and both raise.
- genai: `error` must be the first key, `google-genai` looks at how the text starts, as do google-genai for Java and
  @google/genai from 2.32. That up to 2.30 and go-genai take an `error` behind `data: ` for an empty answer, and end
  in silence: they raise at what is no frame, as Google's own error in mid-stream is (js-genai#461), and the oldest of
  them at `[DONE]`. No other reads as far.
- a2a: an `error` instead of a `result` is raised by the class that its code stands for (a2a-sdk 0.3 and 1.3). LiteLLM
  frames the objects of such a stream itself.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any

from litellm_cancel_guard.terminal import wording

if TYPE_CHECKING:
    from collections.abc import Callable

    from litellm_cancel_guard.terminal.failure import Failure

Json = dict[str, Any]

_OPENAI_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}
_ANTHROPIC_TYPES = {**_OPENAI_TYPES, 413: "request_too_large"}
_GOOGLE_WORDS = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
    529: "UNAVAILABLE",
}


class Protocol(str, Enum):
    """The protocols in which a route can end a stream."""

    CHAT = "chat"
    MESSAGES = "messages"
    RESPONSES = "responses"
    GENAI = "genai"
    A2A = "a2a"


@dataclass
class Begun:
    """What a stream has said of itself so far, a Responses one or (`call`) an agent's: its last event goes on there."""

    id: str = "resp_failed"
    model: str = ""
    created_at: int = 0
    sequence_number: int = -1
    call: Any = None


def opening_error(protocol: Protocol, failure: Failure) -> str:
    """Return the frame that LiteLLM turns into a plain answer of that HTTP status, if it is a stream's first.

    1.80 - 1.109, proxy/common_request_processing.py `create_response`: it looks for a first frame that starts with
    `data: ` and has an `error` with a numeric `code`, on every route.
    """
    return _frame(_enveloped(protocol, failure))


def plain_error(protocol: Protocol | None, failure: Failure) -> Json:
    """Return the body of an answer that is this failure; for a route of no protocol, in LiteLLM's own shape."""
    if protocol is Protocol.MESSAGES:
        return anthropic_body(failure)
    return call_error(failure) if protocol is Protocol.A2A else _enveloped(protocol, failure)


def _enveloped(protocol: Protocol | None, failure: Failure) -> Json:
    return {"error": _google_error(failure) if protocol is Protocol.GENAI else _openai_error(failure)}


def terminal_error(protocol: Protocol, failure: Failure, begun: Begun | None = None) -> str:
    """Return the last event of a stream that has begun and failed."""
    if protocol is Protocol.RESPONSES:
        return _responses(failure, begun or Begun())
    return _EVENTS[protocol](failure)


def polled_error(failure: Failure, begun: Begun) -> str:
    """Return the last event of a Responses stream that LiteLLM reads itself, for an answer that is polled.

    It takes each chunk for one event, and the first for a plain answer if there is an `error` in it: of either it makes
    nothing, and of the half answer `completed` (1.83, proxy/response_polling/background_streaming.py).
    """
    return _frame(_failed_response(failure, begun))


def whole_error(protocol: Protocol, failure: Failure) -> str:
    """Return all that ends a stream behind which LiteLLM writes nothing more."""
    end = "data: [DONE]\n\n" if protocol is Protocol.CHAT else ""
    return terminal_error(protocol, failure) + end


def anthropic_body(failure: Failure) -> Json:
    """Return the body of an error in Anthropic's protocol."""
    kind = _ANTHROPIC_TYPES.get(failure.status, "api_error")
    return {"type": "error", "error": {"type": kind, "message": failure.message}}


def call_error(failure: Failure, call: Any = None) -> Json:
    """Return what answers the JSON-RPC *call* of an agent that has failed, or is the last event of its stream."""
    told = _openai_error(failure)
    data = {"type": told["type"], "param": None, "code": told["code"]}
    if failure.retry_after is not None:
        data["retry_after"] = failure.retry_after
    code = _INTERNAL_ERROR if failure.call_code is None else failure.call_code
    return {"jsonrpc": "2.0", "id": call, "error": {"code": code, "message": failure.message, "data": data}}


def _chat(failure: Failure) -> str:
    return _frame({"error": _openai_error(failure)})


def openai_type(failure: Failure) -> str:
    """Return the type of an error in OpenAI's protocol."""
    # OpenAI gives these codes as the type, too; there a client finds them where LiteLLM wants a number for the code.
    if failure.code in wording.BEYOND_WAITING:
        return str(failure.code)
    return _OPENAI_TYPES.get(failure.status, "server_error")


def _openai_error(failure: Failure) -> Json:
    return {
        "message": _with_delay(failure),
        "type": openai_type(failure),
        "param": None,
        "code": str(failure.status),
    }


def _with_delay(failure: Failure) -> str:
    """End the message in the words that Codex parses for a delay (codex-rs, `try_parse_retry_after`)."""
    if failure.retry_after is None or "try again in" in failure.message:
        return failure.message
    return f"{failure.message.rstrip('. ')}. Please try again in {failure.retry_after:g}s."


def _messages(failure: Failure) -> str:
    return _frame(anthropic_body(failure), "error")


def _responses(failure: Failure, begun: Begun) -> str:
    last, told = _failed_response(failure, begun), _openai_error(failure)
    said = last["response"]["error"]
    first = {"type": "error", "sequence_number": begun.sequence_number + 1, **said, "param": None, "error": told}
    return _frame(first) + _frame({**last, "error": told})


def _failed_response(failure: Failure, begun: Begun) -> Json:
    code = "rate_limit_exceeded" if failure.status == _OPENAI_RATE_LIMIT else "server_error"
    error = {"code": failure.code or code, "message": _with_delay(failure)}
    response = {
        "id": begun.id,
        "object": "response",
        "created_at": begun.created_at,
        "status": "failed",
        "error": error,
        "incomplete_details": None,
        "instructions": None,
        "metadata": {},
        "model": begun.model,
        "output": [],
        "parallel_tool_calls": True,
        "temperature": None,
        "tool_choice": "auto",
        "tools": [],
        "top_p": None,
        "usage": None,
    }
    return {"type": "response.failed", "sequence_number": begun.sequence_number + 2, "response": response}


def _genai(failure: Failure) -> str:
    frame = _frame({"error": _google_error(failure)})
    return frame + frame.removeprefix("data: ") + "data: [DONE]\n\n"


def _google_error(failure: Failure) -> Json:
    error: Json = {
        "code": failure.status,
        "message": failure.message,
        "status": _GOOGLE_WORDS.get(failure.status, "INTERNAL"),
    }
    if failure.retry_after is not None:
        retry = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": f"{failure.retry_after:g}s"}
        error["details"] = [retry]
    return error


def _frame(data: Json, event: str = "") -> str:
    """Spell one SSE frame. JSON escapes every line break, so that no message can end it or begin another.

    Without blanks, as the providers: Claude Code looks for `"type":"overloaded_error"` in a text that the SDKs up to
    0.59 make of the raw line.
    """
    name = f"event: {event}\n" if event else ""
    text = json.dumps(data, separators=(",", ":"))
    return f"{name}data: {text}\n\n"


_OPENAI_RATE_LIMIT = 429
_INTERNAL_ERROR = -32603
_EVENTS: dict[Protocol, Callable[[Failure], str]] = {
    Protocol.CHAT: _chat,
    Protocol.MESSAGES: _messages,
    Protocol.GENAI: _genai,
    Protocol.A2A: lambda failure: _frame(call_error(failure)),
}
