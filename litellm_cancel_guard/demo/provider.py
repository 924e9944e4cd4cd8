"""A provider that speaks Anthropic's Messages protocol slowly, run as `python provider.py PORT`.

A streamed answer takes half a minute, a plain one a fifth of a second. The model `silent` sends the head of a stream
and then nothing, which is what a client sees that leaves before the first chunk; `claude-cut` breaks off after a few
words.
"""

import asyncio
import json
import sys
from typing import Any

_CHUNK_SECONDS = 0.05
_PLAIN_SECONDS = 0.2
_STREAM_CHUNKS = 600
_CHUNKS_UNTIL_CUT = 4
_SILENCE_SECONDS = 30.0
_USAGE = {"input_tokens": 1, "output_tokens": 1}


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer one request and close."""
    try:
        asked = await _read_request(reader)
        if asked.get("stream"):
            await _answer_stream(asked, reader, writer)
        else:
            await asyncio.sleep(_PLAIN_SECONDS)
            _send_plain(asked, writer)
            await writer.drain()
    except (ConnectionError, asyncio.IncompleteReadError):
        pass
    finally:
        writer.close()


async def _read_request(reader: asyncio.StreamReader) -> dict[str, Any]:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
    fields = dict(line.split(":", 1) for line in head.splitlines()[1:] if ":" in line)
    body = await reader.readexactly(int(fields.get("content-length", "0")))
    asked: dict[str, Any] = json.loads(body or b"{}")
    return asked


async def _answer_stream(asked: dict[str, Any], reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n")
    await writer.drain()
    if asked.get("model") == "silent":
        await _left_within(_SILENCE_SECONDS, reader)
        return
    _send_event(writer, "message_start", message=_message(asked, content=[], stop_reason=None))
    _send_event(writer, "content_block_start", index=0, content_block={"type": "text", "text": ""})
    cut = asked.get("model") == "claude-cut"
    for _ in range(_CHUNKS_UNTIL_CUT if cut else _STREAM_CHUNKS):
        _send_event(writer, "content_block_delta", index=0, delta={"type": "text_delta", "text": "word "})
        await writer.drain()
        if await _left_within(_CHUNK_SECONDS, reader):
            return
    if cut:
        return
    _send_event(writer, "content_block_stop", index=0)
    _send_event(writer, "message_delta", delta={"stop_reason": "end_turn", "stop_sequence": None}, usage=_USAGE)
    _send_event(writer, "message_stop")
    await writer.drain()


async def _left_within(seconds: float, reader: asyncio.StreamReader) -> bool:
    try:
        return not await asyncio.wait_for(reader.read(1), seconds)
    except asyncio.TimeoutError:
        return False


def _send_plain(asked: dict[str, Any], writer: asyncio.StreamWriter) -> None:
    answer = _message(asked, content=[{"type": "text", "text": "word"}], stop_reason="end_turn")
    body = json.dumps(answer).encode()
    head = (
        f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n"
    )
    writer.write(head.encode() + body)


def _send_event(writer: asyncio.StreamWriter, kind: str, **fields: Any) -> None:
    writer.write(f"event: {kind}\ndata: {json.dumps({'type': kind, **fields})}\n\n".encode())


def _message(asked: dict[str, Any], *, content: list[dict[str, Any]], stop_reason: str | None) -> dict[str, Any]:
    return {
        "id": "msg_demo",
        "type": "message",
        "role": "assistant",
        "model": asked.get("model", ""),
        "content": content,
        "stop_reason": stop_reason,
        "stop_sequence": None,
        "usage": _USAGE,
    }


async def main() -> None:
    """Serve on the loopback until the process is killed."""
    server = await asyncio.start_server(serve, "127.0.0.1", int(sys.argv[1]))
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
