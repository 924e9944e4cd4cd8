"""What a frame of a stream means: its end by any spelling, an error page, and what is none."""

from __future__ import annotations

from typing import Any

import pytest

from litellm_cancel_guard.lease.agents import goes_on_behind, last_agent_event, state_of
from litellm_cancel_guard.terminal.events import Protocol
from litellm_cancel_guard.terminal.readings import reading_of
from litellm_cancel_guard.terminal.routes import protocol_of
from litellm_cancel_guard.terminal.sighting import route_read

DATA = b'data: {"candidates":[{"content":{"parts":[{"text":"hel"}]}}]}'
END = b'data: {"candidates":[{"content":{"parts":[]},"finishReason":"STOP"}]}\n\n'

NO_PAGES = {
    "a comment": b": ping\n\n",
    "data with an id": DATA + b"\nid: 7\n\n",
    "an event with a name": b"event: message\n" + DATA + b"\n\n",
    "a time to reconnect": b"retry: 3000\n\n",
    "done": b"data: DONE\n\n",
    "done as OpenAI writes it": b"data: [DONE]\n\n",
    "no data": b"data:\n\n",
    "carriage returns": DATA + b"\r\nid: 7\r\n\r\n",
}
PAGES = {
    "HTML": b"<html><body>Too Many Requests</body></html>",
    "HTML as data": b"data: <html>429</html>\n\n",
    "half a frame": DATA[:-9],
    "a line of a JSON text": b'  "error": {\n',
}


@pytest.mark.parametrize("chunk", NO_PAGES.values(), ids=NO_PAGES.keys())
def test_a_gateways_frames_beside_the_data_are_no_error_page(chunk: bytes) -> None:
    reading = reading_of(Protocol.GENAI)

    assert [reading.read(part) for part in (chunk, DATA + b"\n\n", chunk, END, chunk)] == [None] * 5
    assert not reading.cut


@pytest.mark.parametrize("chunk", PAGES.values(), ids=PAGES.keys())
def test_what_is_no_frame_is_an_error_page_until_the_answer_is_whole(chunk: bytes) -> None:
    reading = reading_of(Protocol.GENAI)

    assert reading.read(chunk) is not None
    reading.read(END)
    assert reading.read(chunk) is None


@pytest.mark.parametrize("behind", [b"", b"\n", b" \n\n", b"\n\n\n"])
@pytest.mark.parametrize("mark", [b"", b"data: "])
def test_a_frame_whose_data_goes_over_several_lines_is_whole_however_it_is_closed(mark: bytes, behind: bytes) -> None:
    said = (b"data: {", mark + b' "candidates":[{"finishReason":"STOP"}]', mark + b"}")
    reading = reading_of(Protocol.GENAI)

    assert reading.read(b"\n".join(said) + behind) is None
    assert reading.whole


@pytest.mark.parametrize("behind", ["", "}", "}]}"])
def test_a_frame_that_was_cut_is_not_judged_by_the_models_own_words(behind: str) -> None:
    failure = reading_of(Protocol.GENAI).read(
        f'data: {{"candidates":[{{"content":{{"parts":[{{"text":"too many requests"{behind}'.encode()
    )

    assert failure is not None
    assert failure.status == 503


@pytest.mark.parametrize("said", [b'"finishReason" : "STOP"', b'"finishReason":1', b'"blockReason":  "SAFETY"'])
def test_google_may_spell_its_end_in_any_json(said: bytes) -> None:
    reading = reading_of(Protocol.GENAI)
    reading.read(b'data: {"candidates":[{%s}]}\n\n' % said)

    assert reading.whole


def test_a_text_that_speaks_of_googles_end_is_none() -> None:
    reading = reading_of(Protocol.GENAI)
    reading.read(rb'data: {"candidates":[{"content":{"parts":[{"text":"\"finishReason\": \"STOP\""}]}}]}' + b"\n\n")

    assert reading.cut


@pytest.mark.parametrize(
    "frame",
    [
        b'event: message_stop\ndata: {"type":"message_stop"}\n\n',
        b'data: {"type": "message_stop"}\n\n',
        b'data: { "type": "message_stop" }\n\n',
        b'data: {"amazon-bedrock-invocationMetrics":{"inputTokenCount":1},"type":"message_stop"}\n\n',
    ],
)
def test_a_message_ends_with_its_stop_however_it_is_written(frame: bytes) -> None:
    reading = reading_of(Protocol.MESSAGES)
    reading.read(frame)

    assert not reading.cut


def test_a_second_answer_behind_the_first_is_cut_like_any_other() -> None:
    reading = reading_of(Protocol.MESSAGES)
    reading.read(b'event: message_stop\ndata: {"type":"message_stop"}\n\n')
    reading.read(b'event: message_start\ndata: {"type":"message_start"}\n\n')

    assert reading.cut
    reading.read(b'event: message_stop\ndata: {"type":"message_stop"}\n\n')
    assert not reading.cut


def test_a_text_that_speaks_of_a_messages_stop_is_none() -> None:
    reading = reading_of(Protocol.MESSAGES)
    said = rb'{"type":"text_delta","text":"{\"type\":\"message_stop\"}"}'
    reading.read(b'data: {"type":"content_block_delta","index":0,"delta":%s}\n\n' % said)

    assert reading.cut


@pytest.mark.parametrize(
    ("call_type", "path", "protocol"),
    [
        ("aresponses", "/cursor/chat/completions", Protocol.CHAT),
        ("aresponses", "/v1/responses", Protocol.RESPONSES),
        ("aresponses", None, Protocol.RESPONSES),
        ("acompletion", "/cursor/chat/completions", Protocol.CHAT),
        ("anthropic_messages", "/v1/messages", Protocol.MESSAGES),
        ("pass_through_endpoint", "/openai/chat/completions", None),
    ],
)
def test_a_client_of_a_chat_path_reads_chat_however_litellm_serves_it(
    call_type: str, path: str | None, protocol: Protocol | None
) -> None:
    assert protocol_of(route_read(call_type, path), path) is protocol


ANTHROPICS = {
    "without its name": b'data: {"type": "error", "error": {"type": "overloaded_error", "message": "busy"}}\n\n',
    "in OpenAI's protocol": b'data: {"error": {"code": "1302", "message": "Rate limit reached"}}\n\n',
    "without its object": b'event: error\ndata: {"code": 500, "message": "the context is full"}\n\n',
    "with line ends of another kind": b'event: error\r\ndata: {"code": 500, "message": "full"}\r\n\r\n',
}


@pytest.mark.parametrize("said", ANTHROPICS.values(), ids=ANTHROPICS.keys())
def test_an_error_inside_anthropics_protocol_is_one_in_any_shape(said: bytes) -> None:
    assert reading_of(Protocol.MESSAGES).read(said) is not None


def test_a_tool_that_is_told_of_an_error_is_no_failure() -> None:
    told = b'{"type": "content_block_delta", "delta": {"partial_json": "{\\"error\\": {\\"code\\": 429}}"}}'
    assert reading_of(Protocol.MESSAGES).read(b"event: content_block_delta\ndata: " + told + b"\n\n") is None


def _result(**said: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": 1, "result": said}


def _status(state: str, **more: Any) -> dict[str, Any]:
    return {"taskId": "1", "status": {"state": state}, **more}


OF_AGENTS = {
    "a task that was submitted": (_result(kind="task", **_status("submitted")), "submitted", True),
    "an artifact": (_result(kind="artifact-update", artifact={"parts": []}, lastChunk=True), None, True),
    "a task that works": (_result(kind="status-update", final=False, **_status("working")), "working", True),
    "one that asks back": (
        _result(kind="status-update", final=False, **_status("input-required")),
        "input-required",
        False,
    ),
    "the last of it": (_result(kind="status-update", final=True, **_status("working")), "final", False),
    "a task that is done": (_result(kind="status-update", final=False, **_status("completed")), "completed", False),
    "a task that has failed": (_result(kind="task", **_status("failed")), "failed", False),
    "a message": (_result(kind="message", messageId="1", parts=[]), "message", False),
    "1.0: a task that works": (_result(statusUpdate=_status("TASK_STATE_WORKING")), "working", True),
    "1.0: one that asks back": (_result(statusUpdate=_status("TASK_STATE_INPUT_REQUIRED")), "input-required", False),
    "1.0: a task that is done": (_result(task=_status("TASK_STATE_COMPLETED")), "completed", False),
    "1.0: a message": (_result(message={"messageId": "1", "parts": []}), "message", False),
    "a task that its agent knows no state of": (_result(kind="task", **_status("unknown")), "unknown", False),
    "without a kind: a task that works": (_result(**_status("working")), "working", True),
    "without a kind: a task that is done": (_result(id="1", **_status("completed")), "completed", False),
    "without a kind: a message": (_result(messageId="1", parts=[]), "message", False),
    "an error": ({"jsonrpc": "2.0", "id": 1, "error": {"code": -32001, "message": "no"}}, "error", False),
}


@pytest.mark.parametrize("kind", OF_AGENTS)
def test_an_agents_stream_is_cut_unless_its_task_is_over_or_waits_for_its_client(kind: str) -> None:
    event, state, cut = OF_AGENTS[kind]
    reading = reading_of(Protocol.A2A)
    reading.read(_result(kind="task", **_status("submitted")))

    assert (reading.read(event), state_of(event), reading.cut, reading.said().call) == (None, state, cut, 1)
    assert last_agent_event(event) == (not cut and state not in ("input-required", "unknown"))


@pytest.mark.parametrize("kind", ["a task that was submitted", "without a kind: a task that is done"])
def test_a_task_that_comes_alone_is_an_answer_whatever_its_state(kind: str) -> None:
    """Called cut, an agent that works without streams is asked again by each client, and does the work twice."""
    reading = reading_of(Protocol.A2A)
    reading.read(OF_AGENTS[kind][0])

    assert reading.cut is None


def test_an_event_without_an_id_takes_that_of_the_call_from_nobody() -> None:
    reading = reading_of(Protocol.A2A)
    reading.begun.call = "the call"
    reading.read({"result": {"kind": "message"}})

    assert reading.said().call == "the call"


@pytest.mark.parametrize(
    ("configuration", "later"),
    [
        ({"blocking": False}, True),
        ({"returnImmediately": True}, True),
        ({"pushNotificationConfig": {"url": "http://client/news"}}, True),
        ({"taskPushNotificationConfig": {"url": "http://client/news"}}, True),
        ({"blocking": True, "acceptedOutputModes": ["text"]}, False),
        ({}, False),
        (None, False),
    ],
)
def test_a_client_that_asks_for_the_end_later_is_known_by_its_call(configuration: Any, later: bool) -> None:
    assert goes_on_behind({"message": {}, "configuration": configuration}) == later
    assert not goes_on_behind(None)


@pytest.mark.parametrize(
    "event",
    [
        *(None, "text", {}, object()),
        *({"result": None}, {"result": 7}, {"result": {"kind": "of later"}}, {"result": {"kind": []}}),
    ],
)
def test_what_is_no_event_of_an_agents_tells_no_cut(event: Any) -> None:
    reading = reading_of(Protocol.A2A)
    reading.read({"result": 1})

    assert (reading.read(event), state_of(event)) == (None, None)
    assert reading.cut is None
