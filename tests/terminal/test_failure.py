"""What really failed is found, however it is wrapped; and what a client is told of it holds nothing of the server."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from litellm_cancel_guard.terminal.failure import Failure, ProviderStreamError, failure_in, failure_in_text, failure_of
from litellm_cancel_guard.terminal.wording import cleaned, default_message


class Error(Exception):
    """An exception with whatever attributes LiteLLM or a provider's SDK gives to theirs."""

    def __init__(self, message: str = "", **attributes: Any) -> None:
        super().__init__(message)
        self.__dict__.update(attributes)


class MidStreamFallbackError(Error):
    pass


class ReadTimeoutError(Error):
    pass


class RemoteProtocolError(Error):
    pass


def caused(outer: Exception, inner: Exception) -> Exception:
    outer.__cause__ = inner
    return outer


def happened_in(outer: Exception, inner: Exception) -> Exception:
    outer.__context__ = inner
    return outer


LIMITED = Error("slow down", status_code=429)

STATUSES = {
    "as it is": (LIMITED, 429),
    "wrapped for a fallback": (MidStreamFallbackError("x", status_code=503, original_exception=LIMITED), 429),
    "mapped, with a cause": (caused(Error("x", status_code=500), MidStreamFallbackError("", status_code=429)), 429),
    "met an AttributeError on its way (1.90)": (happened_in(AttributeError("completed_response"), LIMITED), 429),
    "a status as text": (Error("x", status_code="429"), 429),
    "a code as text, no status (openai.APIError)": (Error("x", code="429", status_code=None), 429),
    "a word in the type": (Error("x", type="rate_limit_exceeded"), 429),
    "a word in the body": (Error("x", body={"type": "rate_limit_exceeded", "code": None}), 429),
    "a word below the body's error": (Error("x", body={"error": {"status": "RESOURCE_EXHAUSTED"}}), 429),
    "a body of 500 and a word": (Error("x", status_code=500, body={"code": "rate_limit_exceeded"}), 429),
    "a word in the text of a 500": (Error('AnthropicException - {"type": "overloaded_error"}', status_code=500), 529),
    "bedrock's word": (Error("throttlingException: Too many tokens", status_code=500), 429),
    "google's body as bytes": (Error("""VertexAI - b'{"error": {"code": 429}}'""", status_code=500), 429),
    "overloaded": (Error("x", status_code=529), 529),
    "a 400 whose text speaks of limits": (Error("rate_limit_exceeded is no parameter", status_code=400), 400),
    "the provider's 503 in LiteLLM's 500": (caused(Error("x", status_code=500), Error("y", status_code=503)), 503),
    "a timeout that LiteLLM calls 408": (caused(Error("x", status_code=408), ReadTimeoutError()), 504),
    "a cut connection that LiteLLM calls 500": (caused(Error("x", status_code=500), RemoteProtocolError()), 503),
    "nothing at all": (ValueError(), 500),
    "a success, which is no failure's status": (Error("x", status_code=200), 500),
    "a status that is no number": (Error("x", status_code=object()), 500),
    "a status that is true": (Error("x", status_code=True), 500),
    "a status out of range": (Error("x", status_code="99999"), 500),
    "a response without a request": (Error("x", response=SimpleNamespace(status_code=429)), 429),
}


@pytest.mark.parametrize(("error", "status"), STATUSES.values(), ids=STATUSES.keys())
def test_the_real_status_is_found(error: Exception, status: int) -> None:
    assert failure_of(error).status == status


def test_causes_may_be_cyclic() -> None:
    one, other = Error("one"), Error("other", status_code=429)
    one.__cause__, other.__context__, other.original_exception = other, one, other  # type: ignore[attr-defined]
    assert failure_of(one).status == 429


def test_a_long_chain_is_read_as_far_as_it_can_matter() -> None:
    outer: Exception = Error("x")
    for _ in range(1000):
        outer = caused(Error("x"), outer)
    assert failure_of(outer).status == 500


def test_attributes_that_raise_are_passed_over() -> None:
    class HostileError(Exception):
        @property
        def response(self) -> Any:
            raise RuntimeError("The request instance has not been set on this exception.")

        def __str__(self) -> str:
            raise RuntimeError("no text")

    assert failure_of(HostileError()) == Failure(500, default_message(500))


def test_a_failure_that_the_guard_found_stays_what_it_was() -> None:
    failure = Failure(429, "slow down", 7.0)
    assert failure_of(caused(Error("x", status_code=500), ProviderStreamError(failure))) is failure


LEAKY = (
    "litellm.MidStreamFallbackError: litellm.RateLimitError: RateLimitError: OpenAIException - slow down. "
    "Received Model Group=gpt\nAvailable Model Group Fallbacks=None"
)
MESSAGES = {
    LEAKY: "slow down",
    "litellm.APIError: AnthropicException - Overloaded. Handle with `litellm.InternalServerError`.": "Overloaded",
    'list index\n\nTraceback (most recent call last):\n  File "/usr/lib/x.py", line 3, in y\nIndexError': "list index",
    "cannot open /usr/lib/python3.11/site-packages/litellm/router.py:1805 today": "cannot open REDACTED today",
    "cannot open ./src/app/x.py:3, ~/app/y.py or ../z.py": "cannot open REDACTED, REDACTED or ../z.py",
    "cannot open /usr/lib/a.py/ or /usr/lib/ or /+/+//a/b.py": "cannot open REDACTED or REDACTED or /+/+//a/b.py",
    "see https://provider.example/docs/limits.html": "see https://provider.example/docs/limits.html",
    "GET /v1/x?key=AIzaSecret failed": "GET /v1/x?key=REDACTED failed",
    "key sk-abcdefghijklmnop is wrong": "key REDACTED is wrong",
    "Vertex_ai_betaException InternalServerError - INTERNAL - slow down": "INTERNAL - slow down",
    "slow down. No fallback model group found for original model_group=gpt. Fallbacks=[]": "slow down.",
    "slow down .  Received Model Group=gpt": "slow down",
    "": default_message(429),
    "litellm.RateLimitError: ": default_message(429),
    "half a \ud83d pair": "half a ? pair",
    "Error: 3 - 2": "3 - 2",
}


@pytest.mark.parametrize(("said", "told"), MESSAGES.items())
def test_a_message_is_the_providers_own(said: str, told: str) -> None:
    assert cleaned(said, 429) == told


def test_the_text_of_a_fault_inside_litellm_is_not_told() -> None:
    assert failure_of(IndexError("list index out of range")).message == default_message(500)


def test_the_message_is_found_inside_a_body_that_was_made_text() -> None:
    text = """litellm.RateLimitError: VertexAIException - b'{"error": {"code": 429, "message": "Quota, \\xc3\\xa9"}}'"""
    assert failure_of(Error(text, status_code=429)).message == "Quota, é"


@given(st.text(max_size=300), st.integers(400, 599))
def test_no_message_survives_as_a_path_or_a_traceback(text: str, status: int) -> None:
    told = cleaned(f"{text}/usr/lib/litellm/x.py\nTraceback (most recent call last):\n secret", status)
    assert told
    assert "secret" not in told
    told.encode()


def test_a_megabyte_is_cut_and_does_not_hold_up_the_loop() -> None:
    for text in ("A" * 2**20, "/a" * 2**19, "(" * 2**20, "[" * 2**20, "litellm." * 2**17, "x: " * 2**18):
        assert len(failure_of(Error(text, status_code=500)).message) <= 2000


DELAYS = {
    "header": (Error("x", status_code=429, response=SimpleNamespace(headers={"retry-after": "7"})), 7.0),
    "LiteLLM's headers": (Error("x", litellm_response_headers={"retry-after": "8"}), 8.0),
    "attribute": (Error("x", retry_after=9), 9.0),
    "google": (Error('{"error": {"details": [{"retryDelay": "34s"}]}}'), 34.0),
    "openai": (Error("Please try again in 872ms."), 0.872),
    "minutes": (Error("try again in 2m"), 120.0),
    "a date": (Error("x", retry_after="Wed, 21 Oct 2026 07:28:00 GMT"), None),
    "nonsense": (Error("x", retry_after=float("nan")), None),
    "a past one": (Error("x", retry_after=-3), None),
    "none": (Error("x"), None),
}


@pytest.mark.parametrize(("error", "delay"), DELAYS.values(), ids=DELAYS.keys())
def test_the_delay_is_found(error: Exception, delay: float | None) -> None:
    found = failure_of(error).retry_after
    assert found == (pytest.approx(delay) if delay is not None else None)


EVENTS: dict[str, tuple[Any, int | None]] = {
    "anthropic": ({"type": "error", "error": {"type": "overloaded_error", "message": "m"}}, 529),
    "openai": ({"error": {"message": "m", "type": "rate_limit_exceeded", "code": "429"}}, 429),
    "google": ({"error": {"code": 429, "message": "m", "status": "RESOURCE_EXHAUSTED"}}, 429),
    "google, array": ([{"error": {"code": 503, "message": "m", "status": "UNAVAILABLE"}}], 503),
    "responses, error": ({"type": "error", "code": "rate_limit_exceeded", "message": "m"}, 429),
    "responses, failed": ({"type": "response.failed", "response": {"error": {"code": "server_error"}}}, 500),
    "responses, failed without a reason": ({"type": "response.failed", "response": {"error": None}}, 500),
    "an error that is a text": ({"error": "too many requests", "code": 429}, 429),
    "no words": ({"error": {}}, 503),
    "not an error": ({"type": "response.completed", "error": None}, None),
    "no event": ("error", None),
    "nothing": (None, None),
}


@pytest.mark.parametrize(("event", "status"), EVENTS.values(), ids=EVENTS.keys())
def test_an_event_that_reports_a_failure_is_told_from_one_that_does_not(event: Any, status: int | None) -> None:
    found = failure_in(event)
    assert (found.status if found else None) == status


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("<html><head><title>429 Too Many Requests</title>", 429),
        ('[{"error": {"code": 429, "status": "RESOURCE_EXHAUSTED"', 429),
        ('[{"error": {"code": 429, "message": "m"}}]', 429),
        ('{"candidates": [{"content": {"parts": [{"text": "par', 503),
        ("<html>upstream connect error", 503),
        ("", 503),
        ("\x00\ufffd", 503),
    ],
)
def test_text_that_no_parser_understood_is_a_429_where_it_says_so(text: str, status: int) -> None:
    assert failure_in_text(text).status == status


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(),
        lambda x: (
            st.lists(x)
            | st.dictionaries(
                st.sampled_from(["error", "type", "code", "response", "message", "status"]) | st.text(), x
            )
        ),
        max_leaves=20,
    )
)
def test_no_event_is_too_odd_to_be_read(event: Any) -> None:
    found = failure_in(event)
    assert found is None or (400 <= found.status < 600 and found.message)


def test_advice_about_fallbacks_does_not_hide_what_the_provider_said() -> None:
    """LiteLLM 1.83 writes it behind the provider's body; next is httpx's error, which names an address."""
    said = json.dumps({"type": "error", "error": {"type": "rate_limit_error", "message": "slow down"}})
    advice = "No fallback model group found for original model_group=claude. Fallbacks=[{'first': ['second']}]"
    error = Error(f"{said}{advice}", status_code=429)
    limited = caused(error, Error("Client error '429' for url 'http://provider/v1/messages'", status_code=429))
    assert failure_of(limited).message == "slow down"
