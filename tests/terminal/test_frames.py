"""Every frame that `terminal` makes is an error to the SDK of its route, and one whole frame to a strict reader."""

from __future__ import annotations

import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from litellm_cancel_guard.terminal.events import Begun, Protocol, anthropic_body, opening_error, terminal_error
from litellm_cancel_guard.terminal.failure import Failure, failure_in
from litellm_cancel_guard.terminal.wording import cleaned
from tests.harness.process import LOOPBACK
from tests.harness.provider.responses import Responses
from tests.harness.provider.wire import Anthropic, Chat, Gemini
from tests.terminal.sdks import ask
from tests.terminal.sse import Event, parse

if TYPE_CHECKING:
    from collections.abc import Iterator

SDKS = {
    Protocol.CHAT: "chat",
    Protocol.MESSAGES: "messages",
    Protocol.RESPONSES: "responses",
    Protocol.GENAI: "genai",
}
WIRES: dict[Protocol, Any] = {
    Protocol.CHAT: Chat,
    Protocol.MESSAGES: Anthropic,
    Protocol.RESPONSES: Responses,
    Protocol.GENAI: Gemini,
}
# Those in which a model is asked; an agent is in test_agent_calls.py.
PROTOCOLS = pytest.mark.parametrize("protocol", tuple(WIRES), ids=lambda p: p.value)
LAST = {
    Protocol.CHAT: [""],
    Protocol.MESSAGES: ["error"],
    Protocol.RESPONSES: ["error", "response.failed"],
    Protocol.GENAI: ["", "[DONE]"],
}
NO_FRAME = re.compile(r'^\{"error":.*\n\n', re.MULTILINE)
HOSTILE = {
    "plain": "slow down",
    "newlines": 'a\n\nevent: message_stop\ndata: {"type": "message_stop"}\n\n',
    "carriage returns": "a\r\n\r\ndata: [DONE]\r\r",
    "quotes": "\"'\\\"}]}'",
    "data": "data: data: [DONE]",
    "not ascii": "déjà vu \U0001f4a5 \u2028\u2029\x85",
    "nul and controls": "\x00\x01\x7f",
    "a megabyte": "x" * 2**20,
}


class Server:
    """Answers whatever is asked with the same bytes."""

    def __init__(self) -> None:
        self.status, self.kind, self.body = 200, "text/event-stream", b""
        self.headers: dict[str, str] = {}
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
                self.send_response(server.status)
                self.send_header("Content-Type", server.kind)
                self.send_header("Content-Length", str(len(server.body)))
                for name, value in server.headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(server.body)

            def log_message(self, *args: Any) -> None: ...

        self._http = ThreadingHTTPServer((LOOPBACK, 0), Handler)
        self.url = f"http://{LOOPBACK}:{self._http.server_address[1]}"
        threading.Thread(target=self._http.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()


pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:google", "ignore::DeprecationWarning:aiohttp")


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.close()


def begun(protocol: Protocol) -> bytes:
    wire = WIRES[protocol]("model")
    return bytes(wire.opening() + wire.chunk(0) + wire.chunk(1))


def events_of(frames: str) -> list[Event]:
    """The events that a strict reader sees: Google's error comes once more as what is none."""
    return parse(NO_FRAME.sub("", frames))


@pytest.mark.parametrize("message", HOSTILE.values(), ids=HOSTILE.keys())
@pytest.mark.parametrize("status", [429, 529, 503, 504, 400, 500, 502])
@PROTOCOLS
async def test_the_sdk_raises_after_the_text_that_came_before(
    server: Server, protocol: Protocol, status: int, message: str
) -> None:
    frame = terminal_error(protocol, Failure(status, cleaned(message, status), 7), Begun("resp_1", "m", 1, 3))
    server.status, server.kind, server.body = 200, "text/event-stream", begun(protocol) + frame.encode()

    outcome = await ask(SDKS[protocol], server.url, "sk-x", "model", "hi")

    raised = {
        Protocol.CHAT: "APIError",
        Protocol.RESPONSES: "APIError",
        Protocol.MESSAGES: "APIStatusError",
        Protocol.GENAI: "ClientError" if status < 500 else "ServerError",
    }
    kind = events_of(frame)[0].data["error"]
    assert (outcome.text, outcome.raised) == ("word0 word1 ", raised[protocol])
    assert str(kind.get("type", status)) in (outcome.code or "") or str(status) in (outcome.code or "")


@PROTOCOLS
@given(message=st.text(max_size=200), status=st.integers(400, 599), delay=st.none() | st.floats(0, 1e5))
def test_no_message_breaks_the_framing(protocol: Protocol, message: str, status: int, delay: float | None) -> None:
    failure = Failure(status, cleaned(message, status), delay)
    for frame, kinds in ((terminal_error(protocol, failure), LAST[protocol]), (opening_error(protocol, failure), [""])):
        events = events_of(frame)
        assert [event.data if event.data == "[DONE]" else event.data.get("type", "") for event in events] == kinds
        assert frame.isascii()
        assert cleaned(message, status).rstrip(". ") in json.dumps(events[0].data, ensure_ascii=False) or any(
            char in message for char in '"\\' + "".join(map(chr, [*range(32), 127]))
        )


def test_the_frames_are_those_of_the_protocols() -> None:
    failure = Failure(429, "slow down", 7)
    assert parse(terminal_error(Protocol.CHAT, failure)) == [
        (
            "",
            {
                "error": {
                    "message": "slow down. Please try again in 7s.",
                    "type": "rate_limit_error",
                    "param": None,
                    "code": "429",
                }
            },
        )
    ]
    assert parse(terminal_error(Protocol.MESSAGES, failure)) == [
        ("error", {"type": "error", "error": {"type": "rate_limit_error", "message": "slow down"}})
    ]
    genai = events_of(terminal_error(Protocol.GENAI, failure))[0].data["error"]
    assert (genai["code"], genai["status"]) == (429, "RESOURCE_EXHAUSTED")
    assert genai["details"][0]["retryDelay"] == "7s"
    assert terminal_error(Protocol.GENAI, failure).startswith('data: {"error":{"code":429')


def test_googles_error_is_told_to_those_who_read_no_error_in_a_frame() -> None:
    """@google/genai up to 2.30 and go-genai end in silence at it, and raise at what is no frame."""
    frame, bare, done, rest = terminal_error(Protocol.GENAI, Failure(429, "slow down")).split("\n\n")
    assert (frame, done, rest) == (f"data: {bare}", "data: [DONE]", "")
    assert json.loads(bare)["error"]["code"] == 429


def test_no_blank_stands_where_a_client_looks_for_the_text_of_the_raw_line() -> None:
    assert '"type":"overloaded_error"' in terminal_error(Protocol.MESSAGES, Failure(529, "busy"))


def test_a_failed_response_goes_on_from_what_was_said_of_it() -> None:
    frames = terminal_error(Protocol.RESPONSES, Failure(429, "slow down", 1.5), Begun("resp_9", "gpt", 5, 41))
    error, failed = (event.data for event in parse(frames))
    assert (error["sequence_number"], failed["sequence_number"]) == (42, 43)
    assert (error["code"], error["message"]) == ("rate_limit_exceeded", "slow down. Please try again in 1.5s.")
    assert error["error"] == failed["error"]
    response = failed["response"]
    assert (response["id"], response["model"], response["created_at"]) == ("resp_9", "gpt", 5)
    assert response["error"] == {
        "code": "rate_limit_exceeded",
        "message": "slow down. Please try again in 1.5s.",
    }


@pytest.mark.parametrize("code", ["context_length_exceeded", "insufficient_quota", "image_content_policy_violation"])
def test_a_code_that_decides_whether_to_try_again_is_kept(code: str) -> None:
    """Codex gives up at these, and tries again at `server_error` and `rate_limit_exceeded`."""
    failure = failure_in({"type": "response.failed", "response": {"error": {"code": code, "message": "no"}}})
    assert failure is not None
    error, failed = (event.data for event in parse(terminal_error(Protocol.RESPONSES, failure)))
    assert (failure.status < 500, error["code"], failed["response"]["error"]["code"]) == (True, code, code)


def test_a_quota_is_told_from_a_limit_of_the_minute_by_its_type() -> None:
    quota = parse(opening_error(Protocol.RESPONSES, Failure(429, "no money", code="insufficient_quota")))[0].data
    assert (quota["error"]["type"], quota["error"]["code"]) == ("insufficient_quota", "429")


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (429, "rate_limit_error"),
        (529, "overloaded_error"),
        (500, "api_error"),
        (502, "api_error"),
        (504, "timeout_error"),
    ],
)
def test_anthropics_types_are_anthropics(status: int, kind: str) -> None:
    assert anthropic_body(Failure(status, "m"))["error"]["type"] == kind


@pytest.mark.parametrize(("sdk", "status"), [("chat", 429), ("responses", 429), ("messages", 429), ("genai", 429)])
async def test_the_body_of_an_opening_error_is_a_rate_limit_to_every_sdk(server: Server, sdk: str, status: int) -> None:
    protocol = next(protocol for protocol, name in SDKS.items() if name == sdk)
    body = parse(opening_error(protocol, Failure(status, "slow down", 7)))[0].data
    server.status, server.kind, server.body = status, "application/json", json.dumps(body).encode()
    outcome = await ask(sdk, server.url, "sk-x", "model", "hi")
    assert outcome.raised == ("ClientError" if sdk == "genai" else "RateLimitError")
    assert sdk != "genai" or outcome.code == "429 RESOURCE_EXHAUSTED"


def test_the_strict_reader_is_strict() -> None:
    for bad in ("data: {}", "data: {}\r\n\r\n", "data: {\n}\n\n", "data: 1\ndata: 2\n\n", "event: x\n\n"):
        with pytest.raises(ValueError, match=r".+"):
            parse(bad)
