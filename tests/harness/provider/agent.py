"""An A2A agent: JSON-RPC over SSE, in the dialect of 0.3 or of 1.0, as its card says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from aiohttp import web

from tests.harness.provider.script import word, words
from tests.harness.provider.wire import Json, sse

# The agent's path -> the dialect that it speaks there.
PATHS = {"/agent03": "0.3", "/agent10": "1.0"}
# Those that have no streams, and whose tasks work on behind an answer.
WITHOUT_STREAMS = {"/plain03": "0.3", "/plain10": "1.0"}
_ALL = PATHS | WITHOUT_STREAMS
_STREAMING = ("message/stream", "SendStreamingMessage", "tasks/resubscribe", "SubscribeToTask")
_INTERNAL_ERROR = -32603
_IDS = {"taskId": "task-1", "contextId": "context-1"}


@dataclass(frozen=True)
class Agent:
    """One call. A status is the end of its stream where it says so."""

    asked: Json
    version: str
    works_on: bool = False
    content_type: ClassVar[str] = "text/event-stream"

    @property
    def streamed(self) -> bool:
        return self.asked["method"] in _STREAMING

    def plain(self, chunks: int) -> Json:
        kind = "task" if self.works_on else "message"
        said = self._task("working") if self.works_on else self._message(words(chunks))
        return self._answer({"kind": kind, **said} if self.version == "0.3" else {kind: said})

    def opening(self) -> bytes:
        return self._event("task", self._task("submitted"))

    def chunk(self, index: int) -> bytes:
        artifact = {"artifactId": "artifact-1", "parts": [self._part(word(index))]}
        return self._event("artifact-update", {**_IDS, "artifact": artifact, "append": index > 0})

    def closing(self, chunks: int) -> bytes:
        return self.status("completed", final=True)

    def status(self, state: str, *, final: bool) -> bytes:
        ends = {"final": final} if self.version == "0.3" else {}
        return self._event("status-update", {**_IDS, "status": self._status(state), **ends})

    def message(self, text: str) -> bytes:
        return self._event("message", self._message(text))

    def failure(self, status: int) -> Json:
        """Of that status, as the SDK's own server tells it (a2a-sdk 1.3)."""
        error = {"code": _INTERNAL_ERROR, "message": f"scripted {status}"}
        return {"jsonrpc": "2.0", "id": self.asked["id"], "error": error}

    def error_event(self, status: int) -> bytes:
        return sse(self.failure(status))

    def _answer(self, result: Json) -> Json:
        return {"jsonrpc": "2.0", "id": self.asked["id"], "result": result}

    def _event(self, kind: str, said: Json) -> bytes:
        envelope = {"task": "task", "status-update": "statusUpdate", "artifact-update": "artifactUpdate"}
        named = {"kind": kind, **said} if self.version == "0.3" else {envelope.get(kind, kind): said}
        return sse(self._answer(named))

    def _message(self, text: str) -> Json:
        role = "agent" if self.version == "0.3" else "ROLE_AGENT"
        kind = {"kind": "message"} if self.version == "0.3" else {}
        return {**kind, "messageId": "message-1", "role": role, "parts": [self._part(text)]}

    def _task(self, state: str) -> Json:
        return {"id": "task-1", "contextId": "context-1", "status": self._status(state)}

    def _part(self, text: str) -> Json:
        return {"kind": "text", "text": text} if self.version == "0.3" else {"text": text}

    def _status(self, state: str) -> Json:
        return {"state": state if self.version == "0.3" else f"TASK_STATE_{state.upper().replace('-', '_')}"}


def asked_at(path: str, body: Json) -> Agent | None:
    """The call of an agent; None where *path* is no agent's."""
    version = next((version for end, version in _ALL.items() if path.rstrip("/").endswith(end)), None)
    works_on = path.rstrip("/").endswith(tuple(WITHOUT_STREAMS))
    return None if version is None else Agent(body, version, works_on)


async def card(request: web.Request) -> web.Response:
    """What an agent says of itself; LiteLLM asks for it at each call."""
    path = f"/{request.match_info['agent']}"
    url = str(request.url.with_path(path))
    said: dict[str, Any] = {
        "name": path[1:],
        "description": "scripted",
        "version": "1.0.0",
        "skills": [],
        "capabilities": {"streaming": path in PATHS},
        "defaultInputModes": ["text"],
        "defaultOutputModes": ["text"],
    }
    if _ALL[path] == "0.3":
        return web.json_response({**said, "url": url, "protocolVersion": "0.3.0", "preferredTransport": "JSONRPC"})
    interface = {"url": url, "protocolBinding": "JSONRPC", "protocolVersion": "1.0"}
    return web.json_response({**said, "supportedInterfaces": [interface]})
