"""What providers send, whole and failed, byte by byte: one `Kind` for each way, by the protocol it is written in."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

DONE = b"data: [DONE]\n\n"
COMMENT = b": keep-alive\n\n"
HALF, REST = "half an", " answer"


def frame(data: Any, event: str = "") -> bytes:
    name = f"event: {event}\n" if event else ""
    return f"{name}data: {json.dumps(data)}\n\n".encode()


def chunk(choices: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    return {**head, "choices": choices, **more}


def choice(text: str | None = None, finish: str | None = None, index: int = 0, **more: Any) -> dict[str, Any]:
    delta = {} if text is None else {"content": text}
    return {"index": index, "delta": delta, "finish_reason": finish, **more}


def said(text: str, index: int = 0, **more: Any) -> bytes:
    return frame(chunk([choice(text, index=index)], **more))


def ended(finish: str = "stop", index: int = 0) -> bytes:
    return frame(chunk([choice(finish=finish, index=index)]))


OPENING = frame(chunk([{"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": None}]))
BEGUN = OPENING + said(HALF)
USAGE = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}


def _call(arguments: str, **more: Any) -> bytes:
    call = {"index": 0, "function": {"arguments": arguments}, **more}
    return frame(chunk([{"index": 0, "delta": {"tool_calls": [call]}, "finish_reason": None}]))


_CALLS = OPENING + _call("", id="call_1", type="function") + _call('{"path": "/tmp')


@dataclass(frozen=True)
class Kind:
    """One way to end; `whole`: its client has to see a whole answer."""

    name: str
    body: bytes
    whole: bool = False
    n: int = 1
    pieces: int = 0
    """Sent in reads of so many bytes; 0: in one."""
    breaks: bool = False
    """The connection is broken behind it."""
    stays: bool = False
    """The connection stays open behind it, for as long as the other side lets it."""
    pulse: bytes = b""
    """What comes on it all the while, five times a second."""
    says: str = ""
    """What of the provider's words its client has to read."""
    text: tuple[str, ...] = ()
    """What of a whole answer's text has to arrive, where it is not the usual."""

    def reads(self) -> Iterator[bytes]:
        size = self.pieces or len(self.body)
        yield from (self.body[at : at + size] for at in range(0, len(self.body), size))


def _reasons() -> Iterator[Kind]:
    # earendil-works/pi#2313, tetsuo-ai/agenc-core#2492, BerriAI/litellm#33968, vllm-project/vllm#57082, Cohere's and
    # Bedrock's documentation: each in the envelope of OpenAI, as gateways hand them on.
    words = ("network_error", "insufficient_system_resource", "error", "abort", "ERROR", "malformed_model_output")
    for word in words:
        yield Kind(f"reason {word}", BEGUN + ended(word) + DONE)
    yield Kind("reason in a tool call", _CALLS + ended("network_error") + DONE)


def _in_band() -> Iterator[Kind]:
    told = {"code": 400, "message": "the context is full", "type": "invalid_request_error"}
    # ggml-org/llama.cpp#16109, vercel/ai#10533, OmniRoute#8210, BerriAI/litellm#16226, oh-my-pi#9812, lemonade#2826
    yield Kind("field error", BEGUN + f"error: {json.dumps(told)}\n\n".encode() + DONE, says="the context is full")
    yield Kind(
        "xai",
        BEGUN + frame({"code": "The service is unavailable", "error": "overloaded, try later"}) + DONE,
        says="overloaded, try",
    )
    yield Kind(
        "no code", BEGUN + frame({"error": {"message": "Upstream idle timeout exceeded"}}) + DONE, says="idle timeout"
    )
    word = {"error": {"message": "Provider returned error", "code": "server_error", "metadata": None}}
    yield Kind("code a word", BEGUN + frame(word) + DONE, says="Provider returned error")
    beside = chunk([choice("", "error")], error={"code": 502, "message": "Provider disconnected"})
    yield Kind("beside choices", BEGUN + frame(beside) + DONE, says="Provider disconnected")
    beside = chunk([choice("", None)], error={"code": 502, "message": "Provider disconnected"})
    yield Kind("beside choices without a reason", BEGUN + frame(beside) + ended() + DONE, says="Provider disconnected")
    yield Kind("first frame", frame({"error": {"code": 503, "message": "queue full"}}) + DONE, says="queue full")
    yield Kind(
        "named event",
        BEGUN + frame({"error": {"message": "engine died", "code": 500}}, "error") + DONE,
        says="engine died",
    )
    yield Kind(
        "unframed",
        BEGUN + b'{"error": {"message": "backend crashed", "type": "server_error"}}\n\n' + DONE,
        says="backend crashed",
    )
    pretty = json.dumps({"error": {"message": "backend crashed", "type": "server_error"}}, indent=2).encode()
    yield Kind("unframed, in lines", BEGUN + pretty + b"\n\n" + DONE, says="backend crashed")
    yield Kind(
        "then whole", BEGUN + f"error: {json.dumps(told)}\n\n".encode() + ended() + DONE, says="the context is full"
    )


def _cuts() -> Iterator[Kind]:
    yield Kind("half and done", BEGUN + DONE)
    yield Kind("closed", BEGUN)
    yield Kind("reset", BEGUN, breaks=True)
    yield Kind("inside a frame", BEGUN + said(REST)[:60])
    broken = said(" broken")[:70] + b"\n\n"
    yield Kind("broken line", BEGUN + broken + said(REST) + ended() + DONE)
    two = BEGUN + said("other", 1)
    yield Kind("a choice missing", two + ended() + DONE, n=2)
    yield Kind("the first choice missing", two + ended(index=1) + DONE, n=2)
    yield Kind("tool call cut", _CALLS)


def _whole() -> Iterator[Kind]:
    whole = BEGUN + said(REST) + ended() + DONE
    yield Kind("whole", whole, whole=True)
    yield Kind("whole, split", whole, whole=True, pieces=7)
    yield Kind("no done", BEGUN + said(REST) + ended(), whole=True)
    yield Kind("length", BEGUN + said(REST) + ended("length") + DONE, whole=True)
    yield Kind("filtered", BEGUN + said(REST) + ended("content_filter") + DONE, whole=True)
    yield Kind("tool calls", _CALLS + _call('/x"}') + ended("tool_calls") + DONE, whole=True, text=("/tmp", "/x"))
    usage = frame(chunk([], usage=USAGE))
    yield Kind("usage behind", BEGUN + said(REST) + ended() + usage + DONE, whole=True)
    yield Kind("comments", b": processing\n\n" + BEGUN + b": keep-alive\n\n" + said(REST) + ended() + DONE, whole=True)
    yield Kind("crlf", whole.replace(b"\n", b"\r\n"), whole=True)
    yield Kind("crlf, split", whole.replace(b"\n", b"\r\n"), whole=True, pieces=5)
    yield Kind("compact", whole.replace(b"data: ", b"data:").replace(b'": ', b'":'), whole=True)
    yield Kind(
        "line separator",
        BEGUN + said(" raw\u2028line").replace(b"\\u2028", "\u2028".encode()) + said(REST) + ended() + DONE,
        whole=True,
    )
    yield Kind("unknown reason", BEGUN + said(REST) + ended("eos_by_magic") + DONE, whole=True)
    yield Kind(
        "empty reasons",
        (BEGUN + said(REST)).replace(b'"finish_reason": null', b'"finish_reason": ""') + ended() + DONE,
        whole=True,
    )
    yield Kind("error: null", OPENING + said(HALF, error=None) + said(REST, error=None) + ended() + DONE, whole=True)
    speaks = REST + ' data: {"error": {"code": 429}}\n\nerror: {"finish_reason":"network_error"}'
    yield Kind("speaks of errors", BEGUN + said(speaks) + ended() + DONE, whole=True)
    yield Kind("one choice of two", whole, whole=True, n=2)
    two = BEGUN + said("other", 1) + said(REST) + ended() + ended(index=1) + DONE
    yield Kind("two choices", two, whole=True, n=2)
    filtering: dict[str, Any] = {
        "index": 0,
        "finish_reason": None,
        "content_filter_results": {},
        "content_filter_offsets": {},
    }
    yield Kind("filter behind the end", BEGUN + said(REST) + ended() + frame(chunk([filtering])) + DONE, whole=True)
    yield Kind("ids and names", BEGUN + b"id: 7\nevent: message\nretry: 10\n" + said(REST) + ended() + DONE, whole=True)
    yield Kind("usage cut", BEGUN + said(REST) + ended() + frame(chunk([], usage=USAGE))[:40], whole=True)
    yield Kind("bom", b"\xef\xbb\xbf" + OPENING + BEGUN + said(REST) + ended() + DONE, whole=True)
    yield Kind("finish with content", BEGUN + frame(chunk([choice(REST, "stop")])) + DONE, whole=True)
    # OmniRoute#11385: the answer is there, and the connection is not closed
    open_ended = BEGUN + said(REST) + ended()
    yield Kind("stays open", open_ended, whole=True, stays=True)
    yield Kind("stays shut", open_ended, whole=True)
    yield Kind("breaks behind the end", open_ended, whole=True, breaks=True)
    yield Kind("stays open behind usage", open_ended + usage, whole=True, stays=True)
    yield Kind("stays open, commented", open_ended, whole=True, stays=True, pulse=COMMENT)
    yield Kind("stays open, two choices", two.removesuffix(DONE), whole=True, n=2, stays=True)


def _ollama(**more: Any) -> bytes:
    return json.dumps({"model": "m", "created_at": "2026-11-01T00:00:00Z", **more}).encode() + b"\n"


def _speaks(text: str) -> bytes:
    return _ollama(message={"role": "assistant", "content": text}, response=text, done=False)


def _stops(reason: str = "stop") -> bytes:
    counts = {"prompt_eval_count": 3, "eval_count": 2}
    return _ollama(message={"role": "assistant", "content": ""}, response="", done=True, done_reason=reason, **counts)


def _of_ollama() -> Iterator[Kind]:
    begun = _speaks(HALF)
    yield Kind("error", begun + b'{"error":"an error was encountered while running the model: unexpected EOF"}\n')
    yield Kind("first error", b'{"error":"model runner has unexpectedly stopped"}\n')
    yield Kind("load", _stops("load"))
    yield Kind("closed", begun)
    yield Kind("reset", begun, breaks=True)
    yield Kind("whole", begun + _speaks(REST) + _stops(), whole=True)
    yield Kind("whole, split", begun + _speaks(REST) + _stops(), whole=True, pieces=7)
    yield Kind("length", begun + _speaks(REST) + _stops("length"), whole=True)
    yield Kind("speaks of errors", begun + _speaks(REST + ' {"error": "x"}') + _stops(), whole=True)
    yield Kind("stays shut", begun + _speaks(REST) + _stops(), whole=True)
    yield Kind("stays open", begun + _speaks(REST) + _stops(), whole=True, stays=True)


def _event(kind: str, **more: Any) -> bytes:
    return frame({"type": kind, **more}, kind)


_START = _event(
    "message_start",
    message={
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "content": [],
        "model": "m",
        "stop_reason": None,
        "usage": {"input_tokens": 3, "output_tokens": 0},
    },
)
_BLOCK = _event("content_block_start", index=0, content_block={"type": "text", "text": ""})


def _text(text: str) -> bytes:
    return _event("content_block_delta", index=0, delta={"type": "text_delta", "text": text})


def _closing(reason: str = "end_turn") -> bytes:
    delta = {"stop_reason": reason, "stop_sequence": None}
    return (
        _event("content_block_stop", index=0)
        + _event("message_delta", delta=delta, usage={"output_tokens": 2})
        + _event("message_stop")
    )


def _of_anthropic() -> Iterator[Kind]:
    begun = _START + _BLOCK + _text(HALF)
    overloaded = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
    # BerriAI/litellm#41826; claudish#138; llama.cpp's server
    yield Kind("error", begun + frame(overloaded, "error"))
    yield Kind("nameless error", begun + frame(overloaded))
    yield Kind("nameless error, then the end", begun + frame(overloaded) + _closing())
    yield Kind("nameless first error", frame(overloaded))
    other = {"error": {"code": "1302", "message": "Rate limit reached for requests"}}
    yield Kind("of another protocol", begun + frame(other))
    yield Kind("of another protocol, then the end", begun + frame(other) + _closing())
    yield Kind("closed", begun)
    yield Kind("reset", begun, breaks=True)
    yield Kind("no message_stop", begun + _event("content_block_stop", index=0))
    yield Kind("whole", begun + _text(REST) + _closing(), whole=True)
    yield Kind("whole, split", begun + _text(REST) + _closing(), whole=True, pieces=11)
    yield Kind("length", begun + _text(REST) + _closing("max_tokens"), whole=True)
    yield Kind("stays open", begun + _text(REST) + _closing(), whole=True, stays=True)
    yield Kind("stays shut", begun + _text(REST) + _closing(), whole=True)
    yield Kind("breaks behind the end", begun + _text(REST) + _closing(), whole=True, breaks=True)
    yield Kind("stays open, split", begun + _text(REST) + _closing(), whole=True, stays=True, pieces=11)
    yield Kind("stays open, pinged", begun + _text(REST) + _closing(), whole=True, stays=True, pulse=_event("ping"))
    yield Kind(
        "pings", _START + _event("ping") + _BLOCK + _text(HALF) + _event("ping") + _text(REST) + _closing(), whole=True
    )
    speaks = REST + ' {"type": "error", "error": {"type": "overloaded_error"}}\n\nevent: error\ndata: {"error": 1}'
    yield Kind("speaks of errors", begun + _text(speaks) + _closing(), whole=True)


# Nothing of these ends by itself: only `idle_timeout` and `ping_timeout` end them.
ENDLESS_OPENAI = (
    Kind("silent for ever", BEGUN, stays=True),
    Kind("pinged for ever", BEGUN, stays=True, pulse=COMMENT),
)
_BEGUN_BY_ANTHROPIC = _START + _BLOCK + _text(HALF)
ENDLESS_ANTHROPIC = (
    Kind("silent for ever", _BEGUN_BY_ANTHROPIC, stays=True),
    Kind("pinged for ever", _BEGUN_BY_ANTHROPIC, stays=True, pulse=_event("ping")),
)
OPENAI = (*_reasons(), *_in_band(), *_cuts(), *_whole())
OLLAMA = tuple(_of_ollama())
ANTHROPIC = tuple(_of_anthropic())
