"""What Bedrock sends, whole and failed: messages of AWS's event stream, of `ConverseStream` and of a model's own."""

from __future__ import annotations

import base64
import json
import struct
import zlib
from typing import TYPE_CHECKING, Any

from tests.failures.kinds import HALF, REST, Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_TEXT = 7
_COUNTS = {"inputTokens": 3, "outputTokens": 2, "totalTokens": 5}


def message(payload: Any, **headers: str) -> bytes:
    """Encode one message (docs.aws.amazon.com: event stream encoding); `event_type` is the header `:event-type`."""
    named = b"".join(_header(f":{name.replace('_', '-')}", value) for name, value in headers.items())
    body = json.dumps(payload).encode()
    prelude = struct.pack("!II", 16 + len(named) + len(body), len(named))
    head = prelude + struct.pack("!I", zlib.crc32(prelude)) + named + body
    return head + struct.pack("!I", zlib.crc32(head))


def _header(name: str, value: str) -> bytes:
    return struct.pack("!B", len(name)) + name.encode() + struct.pack("!BH", _TEXT, len(value)) + value.encode()


def _event(kind: str, payload: Any) -> bytes:
    return message(payload, event_type=kind, content_type="application/json", message_type="event")


def _exception(kind: str, said: str) -> bytes:
    told = {"exception_type": kind, "content_type": "application/json", "message_type": "exception"}
    return message({"message": said}, **told)


_COUNTED = _event("metadata", {"metrics": {"latencyMs": 9}, "usage": _COUNTS})
_STARTS = _event("messageStart", {"p": "ab", "role": "assistant"})


def _speaks(text: str) -> bytes:
    return _event("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": text}, "p": "abc"})


def _stops(reason: str = "end_turn") -> bytes:
    return (
        _event("contentBlockStop", {"contentBlockIndex": 0}) + _event("messageStop", {"stopReason": reason}) + _COUNTED
    )


_TOOL = {"toolUse": {"name": "read", "toolUseId": "tooluse_1"}}
_CALLS = (
    _STARTS
    + _event("contentBlockStart", {"contentBlockIndex": 0, "start": _TOOL})
    + _event("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"toolUse": {"input": '{"path": "/tmp'}}})
)


def _of_converse() -> Iterator[Kind]:
    begun = _STARTS + _speaks(HALF)
    yield from _exceptions(begun)
    yield from _reasons(begun, _stops)
    yield Kind("reason in a tool call", _CALLS + _stops("malformed_tool_use"))
    yield Kind("tool call cut", _CALLS)
    yield from _cuts(begun)
    whole = begun + _speaks(REST) + _stops()
    yield from _wholes(whole)
    for reason in ("max_tokens", "stop_sequence", "guardrail_intervened", "content_filtered"):
        yield Kind(f"ends by {reason}", begun + _speaks(REST) + _stops(reason), whole=True)
    rest = _event("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"toolUse": {"input": '/x"}'}}})
    yield Kind("tool calls", _CALLS + rest + _stops("tool_use"), whole=True, text=("/tmp", "/x"))
    yield Kind("no metadata", whole.removesuffix(_COUNTED), whole=True)


def _exceptions(begun: bytes) -> Iterator[Kind]:
    # docs.aws.amazon.com, ConverseStream and InvokeModelWithResponseStream: what comes in the stream
    for kind in ("throttling", "modelStreamError", "internalServer", "serviceUnavailable", "validation"):
        yield Kind(f"{kind}Exception", begun + _exception(f"{kind}Exception", f"it is {kind}"))
    yield Kind("first exception", _exception("throttlingException", "Too many requests"))
    error = message({}, error_code="InternalError", error_message="An internal error", message_type="error")
    yield Kind("error message", begun + error)


def _reasons(begun: bytes, stops: Callable[[str], bytes]) -> Iterator[Kind]:
    for reason in ("malformed_model_output", "malformed_tool_use"):
        yield Kind(f"reason {reason}", begun + stops(reason))


def _cuts(begun: bytes) -> Iterator[Kind]:
    yield Kind("closed", begun)
    yield Kind("reset", begun, breaks=True)
    yield Kind("inside a message", begun + _speaks(REST)[:40])


def _wholes(whole: bytes) -> Iterator[Kind]:
    yield Kind("whole", whole, whole=True)
    yield Kind("whole, split", whole, whole=True, pieces=7)
    yield Kind("stays open", whole, whole=True, stays=True)
    yield Kind("stays shut", whole, whole=True)
    yield Kind("breaks behind the end", whole, whole=True, breaks=True)


def chunk(data: Any) -> bytes:
    return _event("chunk", {"bytes": base64.b64encode(json.dumps(data).encode()).decode(), "p": "abcd"})


_METRICS = {"amazon-bedrock-invocationMetrics": {"inputTokenCount": 3, "outputTokenCount": 2}}
_CLAUDE: dict[str, Any] = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "content": [],
    "model": "m",
    "stop_reason": None,
}


def _claude_ends(reason: str = "end_turn") -> bytes:
    delta = {"stop_reason": reason, "stop_sequence": None}
    return (
        chunk({"type": "content_block_stop", "index": 0})
        + chunk({"type": "message_delta", "delta": delta, "usage": {"output_tokens": 2}})
        + chunk({"type": "message_stop", **_METRICS})
    )


def _claude_speaks(text: str) -> bytes:
    return chunk({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}})


def _of_claude() -> Iterator[Kind]:
    start = {"type": "message_start", "message": _CLAUDE | {"usage": {"input_tokens": 3, "output_tokens": 0}}}
    block = {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}
    begun = chunk(start) + chunk(block) + _claude_speaks(HALF)
    yield from _exceptions(begun)
    overloaded = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
    yield Kind("error in a chunk", begun + chunk(overloaded))
    yield Kind("reason malformed_tool_use", begun + _claude_ends("malformed_tool_use"))
    yield from _cuts(begun)
    yield Kind("no message_stop", begun + chunk({"type": "content_block_stop", "index": 0}))
    yield from _wholes(begun + _claude_speaks(REST) + _claude_ends())
    yield Kind("length", begun + _claude_speaks(REST) + _claude_ends("max_tokens"), whole=True)


def _of_llama() -> Iterator[Kind]:
    def says(text: str, reason: str | None = None, **more: Any) -> bytes:
        counts = {"prompt_token_count": None, "generation_token_count": 2}
        return chunk({"generation": text, **counts, "stop_reason": reason, **more})

    begun = says(HALF)
    yield from _exceptions(begun)
    yield from _cuts(begun)
    yield from _wholes(begun + says(REST) + says("", "stop", **_METRICS))
    yield Kind("length", begun + says(REST) + says("", "length", **_METRICS), whole=True)


def _of_nova() -> Iterator[Kind]:
    """Its events are those of `ConverseStream`, each in a chunk (docs.aws.amazon.com, Nova: "Using the Invoke API")."""

    def says(text: str) -> bytes:
        return chunk({"contentBlockDelta": {"delta": {"text": text}, "contentBlockIndex": 0}})

    def calls(part: str) -> bytes:
        return chunk({"contentBlockDelta": {"delta": {"toolUse": {"input": part}}, "contentBlockIndex": 0}})

    def stops(reason: str = "end_turn") -> bytes:
        counted = {"usage": {"inputTokens": 3, "outputTokens": 2}, "metrics": {}, "trace": {}}
        return (
            chunk({"contentBlockStop": {"contentBlockIndex": 0}})
            + chunk({"messageStop": {"stopReason": reason}})
            + chunk({"metadata": counted, **_METRICS})
        )

    starts = chunk({"messageStart": {"role": "assistant"}})
    begun = starts + says(HALF)
    called = starts + chunk({"contentBlockStart": {"start": _TOOL, "contentBlockIndex": 0}}) + calls('{"path": "/tmp')
    yield from _exceptions(begun)
    yield from _reasons(begun, stops)
    yield Kind("reason in a tool call", called + stops("malformed_tool_use"))
    yield Kind("tool call cut", called)
    yield from _cuts(begun)
    yield Kind("no messageStop", begun + chunk({"contentBlockStop": {"contentBlockIndex": 0}}))
    yield from _wholes(begun + says(REST) + stops())
    for reason in ("max_tokens", "stop_sequence", "guardrail_intervened", "content_filtered"):
        yield Kind(f"ends by {reason}", begun + says(REST) + stops(reason), whole=True)
    yield Kind("tool calls", called + calls('/x"}') + stops("tool_use"), whole=True, text=("/tmp", "/x"))
    speaks = REST + ' {"messageStop": {"stopReason": "malformed_model_output"}} "error"'
    yield Kind("speaks of errors", begun + says(speaks) + stops(), whole=True)


def _of_titan() -> Iterator[Kind]:
    def says(text: str, reason: str | None = None, **more: Any) -> bytes:
        counts = {"inputTextTokenCount": 3, "totalOutputTextTokenCount": 2, "index": 0}
        return chunk({"outputText": text, **counts, "completionReason": reason, **more})

    begun = says(HALF)
    yield from _exceptions(begun)
    yield from _cuts(begun)
    yield from _wholes(begun + says(REST, "FINISH", **_METRICS))
    for reason in ("LENGTH", "CONTENT_FILTERED"):
        yield Kind(f"ends by {reason}", begun + says(REST, reason, **_METRICS), whole=True)


def _of_mistral() -> Iterator[Kind]:
    def says(text: str, reason: str | None = None, **more: Any) -> bytes:
        return chunk({"outputs": [{"text": text, "stop_reason": reason}], **more})

    begun = says(HALF)
    yield from _exceptions(begun)
    yield from _cuts(begun)
    yield Kind("reason error", begun + says("", "error", **_METRICS))
    yield from _wholes(begun + says(REST) + says("", "stop", **_METRICS))
    yield Kind("length", begun + says(REST, "length", **_METRICS), whole=True)


def _of_cohere() -> Iterator[Kind]:
    """Command and Command R (docs.aws.amazon.com, "Cohere Command models")."""

    def says(text: str) -> bytes:
        return chunk({"text": text, "is_finished": False, "event_type": "text-generation"})

    def ends(reason: str) -> bytes:
        return chunk({"is_finished": True, "event_type": "stream-end", "finish_reason": reason, **_METRICS})

    begun = says(HALF)
    yield from _exceptions(begun)
    yield from _cuts(begun)
    for reason in ("ERROR", "ERROR_LIMIT"):
        yield Kind(f"reason {reason}", begun + ends(reason))
    yield from _wholes(begun + says(REST) + ends("COMPLETE"))
    for reason in ("MAX_TOKENS", "ERROR_TOXIC"):
        yield Kind(f"ends by {reason}", begun + says(REST) + ends(reason), whole=True)


CONVERSE = tuple(_of_converse())
CLAUDE = tuple(_of_claude())
LLAMA = tuple(_of_llama())
NOVA = tuple(_of_nova())
TITAN = tuple(_of_titan())
MISTRAL = tuple(_of_mistral())
COMMAND = tuple(_of_cohere())
