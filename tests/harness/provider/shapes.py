"""What a whole stream may hold beside its words: tool calls, reasoning, choices, pings, and other normal ends."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.harness.provider.agent import Agent
from tests.harness.provider.responses import Responses
from tests.harness.provider.wire import Anthropic, Chat, Gemini, sse

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.harness.provider.wire import Wire


def inside(shape: str, wire: Wire) -> bytes:
    """What goes out before the second chunk; nothing where the protocol has no such thing."""
    make = _INSIDE.get((type(wire), shape))
    return make(wire) if make else b""


def ending(shape: str, wire: Wire, chunks: int) -> bytes:
    """What ends the stream."""
    make = _ENDINGS.get((type(wire), shape))
    return make(wire) if make else wire.closing(chunks)


def _chat_tools(wire: Any) -> bytes:
    call = {"index": 0, "id": "call_1", "type": "function", "function": {"name": "look", "arguments": ""}}
    more = {"index": 0, "function": {"arguments": '{"at": "it"}'}}
    return bytes(wire._delta({"tool_calls": [call]}) + wire._delta({"tool_calls": [more]}))


def _chat_choices(wire: Any) -> bytes:
    choice = {"index": 1, "delta": {"role": "assistant", "content": "other "}, "finish_reason": None}
    return sse(wire._event("chat.completion.chunk", [choice]))


def _anthropic_block(wire: Any, block: dict[str, Any], delta: dict[str, Any]) -> bytes:
    return bytes(
        wire._event("content_block_start", index=1, content_block=block)
        + wire._event("content_block_delta", index=1, delta=delta)
        + wire._event("content_block_stop", index=1)
    )


def _anthropic_tools(wire: Any) -> bytes:
    block = {"type": "tool_use", "id": "toolu_1", "name": "look", "input": {}}
    return _anthropic_block(wire, block, {"type": "input_json_delta", "partial_json": '{"at": "it"}'})


def _anthropic_reasoning(wire: Any) -> bytes:
    block = {"type": "thinking", "thinking": "", "signature": ""}
    return _anthropic_block(wire, block, {"type": "thinking_delta", "thinking": "event: error\n\ndata: hm "})


def _anthropic_speaking_of_its_end(wire: Any) -> bytes:
    text = 'event: message_stop\ndata: {"type": "message_stop"}\n\n'
    return bytes(wire._event("content_block_delta", index=0, delta={"type": "text_delta", "text": text}))


def _anthropic_length(wire: Any) -> bytes:
    delta = {"stop_reason": "max_tokens", "stop_sequence": None}
    ends = wire._event("message_delta", delta=delta, usage={"output_tokens": 4}) + wire._event("message_stop")
    return bytes(wire._event("content_block_stop", index=0) + ends)


def _google(wire: Any, *parts: dict[str, Any], finish: str | None = None, index: int = 0) -> bytes:
    data = wire._part("", finish, 4)
    data["candidates"][0] |= {"index": index, "content": {"role": "model", "parts": list(parts)}}
    return bytes(wire._frame(data, 1))


def _google_blocked(wire: Any) -> bytes:
    usage = {"promptTokenCount": 7, "totalTokenCount": 7}
    blocked = {"promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": usage, "modelVersion": wire.model}
    return bytes(wire._frame(blocked, 1))


_INSIDE: dict[tuple[type, str], Callable[[Any], bytes]] = {
    (Chat, "tools"): _chat_tools,
    (Chat, "reasoning"): lambda wire: bytes(wire._delta({"reasoning_content": "hm "})),
    (Chat, "choices"): _chat_choices,
    (Chat, "pings"): lambda _: b": ping\n\n",
    (Anthropic, "tools"): _anthropic_tools,
    (Anthropic, "reasoning"): _anthropic_reasoning,
    (Anthropic, "speaks_of_its_end"): _anthropic_speaking_of_its_end,
    (Anthropic, "pings"): lambda wire: bytes(wire._event("ping") * 3),
    (Gemini, "tools"): lambda wire: _google(wire, {"functionCall": {"name": "look", "args": {"at": "it"}}}),
    (Gemini, "reasoning"): lambda wire: _google(wire, {"text": "hm ", "thought": True}),
    (Gemini, "choices"): lambda wire: _google(wire, {"text": "other "}, index=1),
    (Responses, "pings"): lambda _: b": ping\n\n",
    (Responses, "reasoning"): lambda wire: bytes(
        wire._event(
            "response.reasoning_summary_text.delta", item_id="rs_1", output_index=0, summary_index=0, delta="hm "
        )
    ),
}
_ENDINGS: dict[tuple[type, str], Callable[[Any], bytes]] = {
    (Chat, "length"): lambda wire: bytes(wire._delta({}, finish="length")) + sse("[DONE]"),
    (Chat, "filtered"): lambda wire: bytes(wire._delta({}, finish="content_filter")) + sse("[DONE]"),
    (Chat, "done"): lambda _: sse("[DONE]"),
    (Anthropic, "length"): _anthropic_length,
    (Gemini, "length"): lambda wire: _google(wire, {"text": "last"}, finish="MAX_TOKENS"),
    (Gemini, "filtered"): lambda wire: _google(wire, finish="SAFETY"),
    (Gemini, "blocked"): _google_blocked,
    (Agent, "said_final"): lambda wire: bytes(wire.status("working", final=True)),
    (Agent, "asks_back"): lambda wire: bytes(wire.status("input-required", final=True)),
    (Agent, "has_failed"): lambda wire: bytes(wire.status("failed", final=True)),
    (Agent, "message"): lambda wire: bytes(wire.message("over")),
}
