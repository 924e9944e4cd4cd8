# ruff: noqa: INP001 - a script beside the findings, in no package
"""A provider that answers by script, byte for byte, on loopback; for the findings.

`python provider.py FOLDER` imports ANSWERS from FOLDER/answers.py, its port goes to
FOLDER/port, what it sees to FOLDER/log.
The first part of a request's path names the answer; a list of answers is used up one by one, the last one for good.
"""

from __future__ import annotations

import asyncio
import json
import pathlib
import sys
import time
from dataclasses import dataclass, field
from typing import Any

DONE = b"data: [DONE]\n\n"


@dataclass
class Answer:
    """Status, headers and body; a number among the parts is a pause in seconds, which ends when the client leaves."""

    parts: list[bytes | float] = field(default_factory=list)
    status: int = 200
    type: str = "text/event-stream"
    headers: dict[str, str] = field(default_factory=dict)
    cut: bool = False  # ends without the last chunk
    silent: float = 0.0  # seconds before the status line
    tell: str = ""  # a key of the request's JSON: how many entries it has goes to the log


def sse(*parts: bytes | float, **more: Any) -> Answer:
    """An SSE body of these parts."""
    return Answer(list(parts), **more)


def body(value: Any, status: int = 200, **headers: str) -> Answer:
    """A JSON body; `retry_after="1"` is a header."""
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    return Answer([json.dumps(value).encode()], status, "application/json", named)


def event(data: Any, name: str | None = None, end: str = "\n\n") -> bytes:
    """One SSE event; `data` is text, or becomes JSON."""
    text = data if isinstance(data, str) else json.dumps(data)
    return ((f"event: {name}\n" if name else "") + f"data: {text}{end}").encode()


def chunk(text: str | None = None, finish: str | None = None, index: int = 0, **more: Any) -> dict[str, Any]:
    """A chunk of OpenAI's chat stream."""
    delta = {} if text is None else {"role": "assistant", "content": text}
    choice = {"index": index, "delta": delta, "finish_reason": finish}
    return {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice], **more}


def chat(text: str | None = None, finish: str | None = None, **more: Any) -> bytes:
    """The same as an SSE event."""
    return event(chunk(text, finish, **more))


def answer(text: str = "whole", finish: str = "stop") -> dict[str, Any]:
    """A whole answer of OpenAI's chat route."""
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": finish}
    usage = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}
    return {"id": "c1", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice], "usage": usage}


def claude(kind: str, **more: Any) -> bytes:
    """An event of Anthropic's stream."""
    return event({"type": kind, **more}, kind)


def claude_start(identifier: str = "m1") -> bytes:
    """The event that opens a message."""
    message = {"id": identifier, "type": "message", "role": "assistant", "model": "m", "content": []}
    usage = {"input_tokens": 5, "output_tokens": 1}
    return claude("message_start", message={**message, "stop_reason": None, "stop_sequence": None, "usage": usage})


def claude_text(*texts: str, index: int = 0) -> bytes:
    """A text block of one delta for each text."""
    block = claude("content_block_start", index=index, content_block={"type": "text", "text": ""})
    deltas = [claude("content_block_delta", index=index, delta={"type": "text_delta", "text": text}) for text in texts]
    return block + b"".join(deltas) + claude("content_block_stop", index=index)


def claude_end(reason: str = "end_turn") -> bytes:
    """The two events that close a message."""
    delta = {"stop_reason": reason, "stop_sequence": None}
    return claude("message_delta", delta=delta, usage={"output_tokens": 9}) + claude("message_stop")


def gemini(text: str | None = None, finish: str | None = None) -> bytes:
    """An event of Gemini's stream."""
    candidate: dict[str, Any] = {"index": 0}
    if text is not None:
        candidate["content"] = {"role": "model", "parts": [{"text": text}]}
    if finish:
        candidate["finishReason"] = finish
    return event({"candidates": [candidate], "modelVersion": "m"}, end="\r\n\r\n")


class Provider:
    """Serves the answers of one finding, and writes down who asked and who left."""

    def __init__(self, folder: pathlib.Path, answers: dict[str, Any]) -> None:
        self.folder, self.answers, self.connections = folder, answers, 0

    def note(self, text: str) -> None:
        """Add a line to the log."""
        with (self.folder / "log").open("a") as log:
            log.write(text + "\n")

    def next_answer(self, name: str) -> Answer:
        """The answer that is due under this name."""
        found = self.answers[name]
        if isinstance(found, list):
            return found.pop(0) if len(found) > 1 else found[0]
        return found

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection, request after request."""
        self.connections += 1
        mine = self.connections
        try:
            while await self.request(mine, reader, writer):
                pass
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def request(self, mine: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Serve one request; false when the connection is over."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        fields = {line.partition(":")[0].lower(): line.partition(":")[2].strip() for line in head[1:]}
        asked = await self.asked(reader, fields)
        name = head[0].split()[1].strip("/").split("/")[0].split("?")[0]
        self.note(f"{name} request on connection {mine}")
        told = self.next_answer(name)
        if told.tell and asked:
            self.note(f"{name} {told.tell} {len(json.loads(asked)[told.tell])}")
        pauses = told.silent or any(isinstance(part, float) for part in told.parts)
        left = asyncio.ensure_future(reader.read(1)) if pauses else None
        begun = time.monotonic()
        if told.silent and await self.gone(left, told.silent):
            self.note(f"{name} client left")
            return False
        lines = [f"HTTP/1.1 {told.status} X", f"content-type: {told.type}", "transfer-encoding: chunked"]
        lines += [f"{key}: {value}" for key, value in told.headers.items()]
        writer.write(("\r\n".join(lines) + "\r\n\r\n").encode())
        for part in told.parts:
            if isinstance(part, float):
                await writer.drain()
                if await self.gone(left, part):
                    self.note(f"{name} client left")
                    return False
            elif part:
                writer.write(b"%x\r\n%s\r\n" % (len(part), part))
        if left:
            self.note(f"{name} served to the end, {time.monotonic() - begun:.0f} s")
        if not told.cut:
            writer.write(b"0\r\n\r\n")
        await writer.drain()
        return not told.cut and left is None

    async def asked(self, reader: asyncio.StreamReader, fields: dict[str, str]) -> bytes:
        """The request's body."""
        if "chunked" not in fields.get("transfer-encoding", ""):
            return await reader.readexactly(int(fields.get("content-length", "0")))
        body = b""
        while size := int(await reader.readline(), 16):
            body += (await reader.readexactly(size + 2))[:-2]
        await reader.readline()
        return body

    async def gone(self, left: asyncio.Future[bytes] | None, seconds: float) -> bool:
        """Whether the client leaves within so many seconds."""
        if left is None:
            return False
        done, _ = await asyncio.wait([left], timeout=seconds)
        if done:
            left.exception()
        return bool(done)


async def main(folder: pathlib.Path) -> None:
    """Serve the folder's answers until killed."""
    sys.path.insert(0, str(folder))
    from answers import ANSWERS  # type: ignore[import-not-found]

    provider = Provider(folder, ANSWERS)
    server = await asyncio.start_server(provider.serve, "127.0.0.1", 0)
    (folder / "port").write_text(str(server.sockets[0].getsockname()[1]))
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(pathlib.Path(sys.argv[1])))
