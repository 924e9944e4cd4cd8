"""A failure's name means what its provider says: numbers, words, own numbers and sentences, wherever they stand."""

from __future__ import annotations

import json
from typing import Any

import pytest

from litellm_cancel_guard.terminal import meanings
from litellm_cancel_guard.terminal.failure import failure_in, failure_of
from litellm_cancel_guard.terminal.wording import CUT_OFF, UNREACHABLE, cleaned
from tests.harness.provider.told import ALL, RESPONSES


def error(**said: Any) -> dict[str, Any]:
    return {"error": {"message": "no", **said}}


NAMES: dict[str, tuple[Any, int]] = {
    "z.ai's 1302": (error(code="1302"), 429),
    "z.ai's 1305 as a number": (error(code=1305), 429),
    "z.ai's 1301": (error(code="1301"), 400),
    "z.ai's 1302 as Anthropic's type": ({"type": "error", "error": {"type": "1302", "message": "no"}}, 429),
    "z.ai's 1302 in its sentence": ({"type": "error", "error": {"message": "[1302][High concurrency]"}}, 429),
    "xAI's sentence": ({"code": "The service is currently unavailable", "error": "no"}, 503),
    "xAI's exhausted": ({"code": "Some resource has been exhausted", "error": "no"}, 429),
    "xAI's wrong argument": ({"code": "Client specified an invalid argument", "error": "no"}, 400),
    "Ollama's runner that died": ({"error": "an error was encountered while running the model: unexpected EOF"}, 503),
    "OpenRouter's idle upstream": ({"error": {"message": "Upstream idle timeout exceeded"}}, 504),
    "a context that is full": ({"error": "input exceeds the maximum context length"}, 400),
    "a rate limit in words": ({"error": "Rate limit reached, try later"}, 429),
    "a number is before its sentence": ({"error": {"message": "Context size exceeded", "code": 500}}, 500),
    "Moonshot's overload": (error(type="engine_overloaded_error"), 429),
    "Model Studio's quota": (error(code="Throttling.RateQuota"), 429),
    "Azure's filter": (error(code="content_filter", type=None), 400),
    "vLLM's old envelope": ({"object": "error", "message": "no", "type": "BadRequestError", "code": 400}, 400),
    "llama.cpp's on /v1/messages": ({"code": 500, "message": "no", "type": "server_error"}, 500),
    "a word that nobody knows": (error(code="eos_by_magic"), meanings.BROKEN_OFF),
    "a list for a code": (error(code=["429"]), meanings.BROKEN_OFF),
    "a code that is true": (error(code=True), meanings.BROKEN_OFF),
}


@pytest.mark.parametrize(("event", "status"), NAMES.values(), ids=NAMES.keys())
def test_a_failures_name_is_its_status(event: Any, status: int) -> None:
    found = failure_in(event)
    assert found is not None
    assert found.status == status


@pytest.mark.parametrize(
    "event",
    [
        {"message": "a text", "code": "eos"},
        {"type": "message_start", "message": {"role": "assistant"}, "code": 500},
        {"id": "chat-1", "choices": [], "error": None},
        {"type": "content_block_delta", "delta": {"text": '{"error": {"code": 429}}'}},
    ],
)
def test_what_is_no_error_has_no_status(event: Any) -> None:
    assert failure_in(event) is None


def test_every_name_is_lower_case_and_the_status_of_an_http_error() -> None:
    assert not [word for word in meanings.WORDS if word != word.lower()]
    assert all(400 <= status < 600 for status in meanings.WORDS.values())


class RefusedError(Exception):
    status_code = 500


def caused_by(name: str) -> Exception:
    raised: Exception = RefusedError("Connection error.")
    raised.__cause__ = type(name, (Exception,), {})("of a connection")
    return raised


@pytest.mark.parametrize(
    ("name", "status", "words"),
    [
        ("ConnectError", 503, UNREACHABLE),
        ("gaierror", 503, UNREACHABLE),
        ("ClientConnectorCertificateError", 503, UNREACHABLE),
        ("ConnectTimeout", 504, UNREACHABLE),
        ("ServerDisconnectedError", 503, CUT_OFF),
        ("ReadError", 503, CUT_OFF),
    ],
)
def test_a_connection_that_was_never_made_is_told_from_one_that_broke(name: str, status: int, words: str) -> None:
    failure = failure_of(caused_by(name))
    assert (failure.status, failure.message) == (status, words)


def test_the_delay_of_the_provider_behind_an_inner_litellm_is_told() -> None:
    raised = RefusedError("slow down")
    raised.litellm_response_headers = {"llm_provider-retry-after": "9"}  # type: ignore[attr-defined]
    assert failure_of(raised).retry_after == 9.0


UNREAD = (
    "litellm.BadRequestError: Ollama_chatException - KeyError: 'message', Got unexpected response from Ollama: "
    "{'error': 'an error was encountered while running the model: unexpected EOF'}\n\nLiteLLM: model group 'x' failed"
)


class BadRequestError(Exception):
    status_code = 400


@pytest.mark.parametrize(
    ("text", "status", "words"),
    [
        (UNREAD, 503, "an error was encountered while running the model: unexpected EOF"),
        ("Got unexpected response from OpenRouter: {'error': {'message': 'no', 'code': '1302'}}", 429, "no"),
        ("Got unexpected response from Ollama: {'error': ", 400, None),
    ],
)
def test_what_litellms_parser_could_not_read_is_read(text: str, status: int, words: str | None) -> None:
    failure = failure_of(BadRequestError(text))
    assert failure.status == status
    assert words in (None, failure.message)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Cannot connect to host provider.example:80 ssl:<ssl.SSLContext> [Name or service not known]", UNREACHABLE),
        ("[Errno 104] Connection reset by peer", CUT_OFF),
    ],
)
def test_a_clients_sentence_tells_of_its_connection(text: str, words: str) -> None:
    failure = failure_of(RefusedError(f"litellm.InternalServerError: GeminiException - {text}"))
    assert (failure.status, failure.message) == (503, words)


def test_openrouters_words_are_without_its_customer() -> None:
    text = "Message: slow down, Metadata: {'raw': 'x'}, User ID: user_2abcDEFghiJKLmnoPQRstuVWX"
    assert cleaned(text, 429) == "slow down"


@pytest.mark.parametrize("name", [name for name in ALL if name not in RESPONSES])
def test_what_providers_really_sent_means_its_status_in_their_words(name: str) -> None:
    told = ALL[name]
    line = told.frames.split(b"data: ")[-1].strip()
    failure = failure_in(json.loads(line))
    assert failure is not None
    assert (failure.status, failure.message) == (told.status, told.words)
