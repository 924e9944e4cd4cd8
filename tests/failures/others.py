"""What Google, Cohere and OpenAI's Responses API send, whole and failed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tests.failures.kinds import COMMENT, DONE, HALF, REST, Kind, frame

if TYPE_CHECKING:
    from collections.abc import Iterator


def _google(*parts: dict[str, Any], finish: str = "", **more: Any) -> bytes:
    candidate: dict[str, Any] = {"index": 0, "content": {"role": "model", "parts": list(parts)}} if parts else {}
    if finish:
        candidate |= {"index": 0, "finishReason": finish}
    usage = {"promptTokenCount": 3, "candidatesTokenCount": 2, "totalTokenCount": 5}
    return frame({"candidates": [candidate], "usageMetadata": usage, "modelVersion": "m", "responseId": "r", **more})


def _of_google() -> Iterator[Kind]:
    begun = _google({"text": HALF})
    call = {"functionCall": {"name": "read", "args": {"path": "/tmp/x"}}}
    # ai.google.dev/api/generate-content, FinishReason
    malformed = ("MALFORMED_FUNCTION_CALL", "MALFORMED_RESPONSE", "UNEXPECTED_TOOL_CALL", "TOO_MANY_TOOL_CALLS")
    for reason in (*malformed, "MISSING_THOUGHT_SIGNATURE"):
        yield Kind(f"reason {reason}", begun + _google(finish=reason, finishMessage="so it is"))
    yield Kind("reason alone", _google(finish="MALFORMED_FUNCTION_CALL"))
    yield Kind("reason behind a call", _google(call) + _google(finish="MALFORMED_FUNCTION_CALL"))
    yield Kind("reason with words", begun + _google({"text": REST}, finish="MALFORMED_FUNCTION_CALL"))
    told = {"error": {"code": 503, "message": "The model is overloaded.", "status": "UNAVAILABLE"}}
    yield Kind("error", begun + frame(told))
    yield Kind("first error", frame(told))
    yield Kind("unframed error", begun + json.dumps(told, indent=2).encode())
    yield Kind("closed", begun)
    yield Kind("reset", begun, breaks=True)
    yield Kind("call cut", _google(call))
    yield Kind("inside a frame", begun + _google({"text": REST})[:60])
    yield Kind(
        "broken line", begun + _google({"text": " broken"})[:60] + b"\n\n" + _google({"text": REST}, finish="STOP")
    )
    whole = begun + _google({"text": REST}, finish="STOP")
    yield Kind("whole", whole, whole=True)
    yield Kind("whole, split", whole, whole=True, pieces=7)
    yield Kind("crlf", whole.replace(b"\n", b"\r\n"), whole=True)
    yield Kind("end by itself", begun + _google({"text": REST}) + _google(finish="STOP"), whole=True)
    for reason in ("MAX_TOKENS", "SAFETY", "RECITATION", "PROHIBITED_CONTENT", "SPII", "OTHER"):
        yield Kind(f"ends by {reason}", begun + _google({"text": REST}) + _google(finish=reason), whole=True)
    yield Kind("unknown reason", begun + _google({"text": REST}) + _google(finish="BY_MAGIC"), whole=True)
    yield Kind("stays open", whole, whole=True, stays=True)
    yield Kind("stays shut", whole, whole=True)
    yield Kind("stays open, commented", whole, whole=True, stays=True, pulse=COMMENT)
    yield Kind("breaks behind the end", whole, whole=True, breaks=True)
    yield Kind("tool calls", begun + _google({"text": REST}) + _google(call, finish="STOP"), whole=True)
    speaks = REST + ' {"error": {"code": 429}} "finishReason": "MALFORMED_FUNCTION_CALL"'
    yield Kind("speaks of errors", begun + _google({"text": speaks}, finish="STOP"), whole=True)


def _line(kind: str, **more: Any) -> bytes:
    return json.dumps({"type": kind, **more}).encode() + b"\n"


def _says(text: str) -> bytes:
    return _line("content-delta", index=0, delta={"message": {"content": {"text": text}}})


def _cohere_ends(reason: str, **more: Any) -> bytes:
    counts = {"tokens": {"input_tokens": 3, "output_tokens": 2}}
    return _line("content-end", index=0) + _line(
        "message-end", delta={"finish_reason": reason, "usage": counts, **more}
    )


def _of_cohere() -> Iterator[Kind]:
    """Its `/v2/chat`, one object in a line (docs.cohere.com/reference/chat-stream)."""
    start = {"message": {"role": "assistant", "content": [], "tool_plan": "", "tool_calls": [], "citations": []}}
    block = {"message": {"content": {"type": "text", "text": ""}}}
    begun = _line("message-start", id="c1", delta=start) + _line("content-start", index=0, delta=block) + _says(HALF)
    yield Kind("reason ERROR", begun + _cohere_ends("ERROR", error="the generation has failed"))
    yield Kind("reason ERROR without words", begun + _cohere_ends("ERROR"))
    yield Kind("reason TIMEOUT", begun + _cohere_ends("TIMEOUT"))
    yield Kind("error", begun + b'{"message": "internal server error"}\n')
    yield Kind("closed", begun)
    yield Kind("reset", begun, breaks=True)
    yield Kind("inside a line", begun + _says(REST)[:40])
    whole = begun + _says(REST) + _cohere_ends("COMPLETE")
    yield Kind("whole", whole, whole=True)
    yield Kind("whole, split", whole, whole=True, pieces=7)
    for reason in ("MAX_TOKENS", "STOP_SEQUENCE", "ERROR_TOXIC"):
        yield Kind(f"ends by {reason}", begun + _says(REST) + _cohere_ends(reason), whole=True)
    yield Kind("unknown reason", begun + _says(REST) + _cohere_ends("BY_MAGIC"), whole=True)
    yield Kind("stays open", whole, whole=True, stays=True)
    yield Kind("stays shut", whole, whole=True)
    yield Kind("breaks behind the end", whole, whole=True, breaks=True)
    yield Kind(
        "speaks of errors", begun + _says(REST + ' "finish_reason": "ERROR"') + _cohere_ends("COMPLETE"), whole=True
    )


def _event(kind: str, number: int, **more: Any) -> bytes:
    return frame({"type": kind, "sequence_number": number, **more}, kind)


def _response(status: str, **more: Any) -> dict[str, Any]:
    usage = {"input_tokens": 3, "output_tokens": 2, "total_tokens": 5}
    head = {"id": "resp_1", "object": "response", "created_at": 1, "model": "m", "parallel_tool_calls": True}
    rest: dict[str, Any] = {
        "tool_choice": "auto",
        "tools": [],
        "error": None,
        "incomplete_details": None,
        "usage": usage,
    }
    return {**head, **rest, "output": [], "status": status, **more}


_ITEM = {"id": "msg_1", "type": "message", "role": "assistant"}


def _wrote(text: str, number: int) -> bytes:
    where = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
    return _event("response.output_text.delta", number, **where, delta=text)


def _done_with(text: str) -> tuple[bytes, dict[str, Any]]:
    part = {"type": "output_text", "text": text, "annotations": []}
    where = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
    item = {**_ITEM, "status": "completed", "content": [part]}
    done = _event("response.output_text.done", 6, **where, text=text)
    done += _event("response.content_part.done", 7, **where, part=part)
    return done + _event("response.output_item.done", 8, output_index=0, item=item), item


def _of_responses() -> Iterator[Kind]:
    begun = _event("response.created", 0, response=_response("in_progress", usage=None))
    begun += _event(
        "response.output_item.added", 1, output_index=0, item={**_ITEM, "status": "in_progress", "content": []}
    )
    part = {"type": "output_text", "text": "", "annotations": []}
    begun += _event("response.content_part.added", 2, item_id="msg_1", output_index=0, content_index=0, part=part)
    begun += _wrote(HALF, 3)
    failed = {"code": "rate_limit_exceeded", "message": "Slow down."}
    yield Kind("response.failed", begun + _event("response.failed", 9, response=_response("failed", error=failed)))
    yield Kind("failed without a reason", begun + _event("response.failed", 9, response=_response("failed")))
    error = {"code": "server_error", "message": "The server had an error", "param": None}
    yield Kind("error", begun + _event("error", 9, **error))
    why = {"code": "content_policy_violation", "message": "It was filtered.", "param": None}
    late = _event("response.failed", 9, response=_response("failed")) + _event("error", 10, **why)
    yield Kind("reason one frame later", begun + late)
    yield Kind("closed", begun)
    yield Kind("closed with done", begun + DONE)
    yield Kind("reset", begun, breaks=True)
    done, item = _done_with(HALF + REST)
    yield Kind("no response.completed", begun + _wrote(REST, 4) + done)
    whole = (
        begun + _wrote(REST, 4) + done + _event("response.completed", 9, response=_response("completed", output=[item]))
    )
    yield Kind("whole", whole, whole=True)
    yield Kind("whole, split", whole, whole=True, pieces=7)
    yield Kind("whole with done", whole + DONE, whole=True)
    for reason in ("max_output_tokens", "content_filter"):
        short = _response("incomplete", output=[item], incomplete_details={"reason": reason})
        ends = begun + _wrote(REST, 4) + done + _event("response.incomplete", 9, response=short)
        yield Kind(f"incomplete by {reason}", ends, whole=True)
    yield Kind("stays open", whole, whole=True, stays=True)
    yield Kind("stays shut", whole, whole=True)
    yield Kind("breaks behind the end", whole, whole=True, breaks=True)


GOOGLE = tuple(_of_google())
COHERE = tuple(_of_cohere())
RESPONSES = tuple(_of_responses())
