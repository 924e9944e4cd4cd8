"""An answer that is an error before any stream exists says what its provider said, and nothing about the proxy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx
import litellm
import pytest
from litellm.proxy._types import ProxyException

from litellm_cancel_guard.host.mends import answers as mended
from litellm_cancel_guard.settings import Settings
from litellm_cancel_guard.terminal import answers, sighting
from litellm_cancel_guard.terminal.failure import Failure, note_on
from tests.terminal.loose import touch

if TYPE_CHECKING:
    from collections.abc import Callable

STREAM = {"stream": True}


@pytest.fixture(autouse=True)
def mend(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ProxyException, "__init__", ProxyException.__init__)
    assert mended.mend(Settings(), touch())


def limited(retry_after: str | None = "7") -> Exception:
    text = 'litellm.RateLimitError: OpenAIException - {"error": {"message": "slow down"}}. Received Model Group=gpt'
    error: Exception = litellm.RateLimitError(text, llm_provider="openai", model="gpt")
    headers = {"retry-after": retry_after} if retry_after else {}
    error.__cause__ = httpx.HTTPStatusError(
        "429", request=httpx.Request("POST", "http://x"), response=httpx.Response(429, headers=headers)
    )
    return error


def answered(error: Exception, data: dict[str, Any] = STREAM, *, code: int = 429) -> tuple[str, dict[str, str]]:
    sighting.begin("acompletion")
    answers.note(error, data)
    answer = ProxyException(message=str(error), type="None", param="None", code=code, headers={"x-mine": "1"})
    return answer.message, answer.headers


async def test_it_has_the_providers_words_and_its_retry_after() -> None:
    assert answered(limited()) == ("slow down", {"x-mine": "1", "retry-after": "7"})


async def test_it_has_no_retry_after_where_the_provider_sent_none() -> None:
    assert answered(limited(None)) == ("slow down", {"x-mine": "1"})


async def test_one_that_was_limited_within_a_stream_of_the_responses_api_says_for_how_long_to_wait() -> None:
    """LiteLLM itself may read a stream's first event, and raise what it says."""
    sighting.begin("aresponses")
    error = limited(None)
    note_on(error, Failure(429, "slow down"))
    answers.note(error, STREAM)
    answer = ProxyException(message="", type="None", param="None", code=429)
    assert answer.headers == {"retry-after": "6"}


def refused() -> Exception:
    error: Exception = litellm.RateLimitError("Crossed the limit of this key", llm_provider="", model="gpt")
    return error


@pytest.mark.parametrize(
    ("make", "data", "code"),
    [
        pytest.param(limited, {}, 429, id="a plain request"),
        pytest.param(refused, STREAM, 429, id="LiteLLM's own refusal"),
        pytest.param(
            lambda: litellm.BadRequestError("set `litellm.drop_params`", llm_provider="openai", model="gpt"),
            STREAM,
            400,
            id="advice about a wrong request",
        ),
        pytest.param(limited, STREAM, 401, id="an answer about something else"),
    ],
)
async def test_the_rest_stays_in_litellms_words(make: Callable[[], Exception], data: dict[str, Any], code: int) -> None:
    error = make()
    assert answered(error, data, code=code) == (str(error), {"x-mine": "1"})


def as_a_fault_of_its_own(failure: Failure, code: int = 500) -> Exception:
    """An error that LiteLLM makes of a stream's first event."""
    error: Exception = litellm.APIError(
        code, "OpenAIException - Got unexpected response", llm_provider="openai", model="gpt"
    )
    note_on(error, failure)
    return error


@pytest.mark.parametrize(
    ("failure", "code", "kind"),
    [
        (Failure(429, "slow down"), 500, "rate_limit_error"),
        (Failure(400, "too long"), 500, "invalid_request_error"),
        (Failure(503, "unexpected EOF"), 400, "server_error"),
        (Failure(529, "busy"), 500, "overloaded_error"),
    ],
)
async def test_it_has_the_status_that_the_failure_means(failure: Failure, code: int, kind: str) -> None:
    sighting.begin("acompletion")
    error = as_a_fault_of_its_own(failure, code)
    answers.note(error, STREAM)
    answer = ProxyException(message=str(error), type="None", param="None", code=code)
    assert (answer.code, answer.type, answer.message) == (str(failure.status), kind, failure.message)


@pytest.mark.parametrize(("named", "told"), [("0.5", "1"), ("7", "7"), ("Wed, 21 Oct 2026 07:28:00 GMT", "3")])
async def test_it_names_whole_seconds(named: str, told: str) -> None:
    sighting.begin("acompletion")
    error = as_a_fault_of_its_own(Failure(429, "slow down", 2.5))
    answers.note(error, STREAM)
    answer = ProxyException(message="", type="None", param="None", code=500, headers={"retry-after": named})
    assert answer.headers == {"retry-after": told}


@pytest.mark.parametrize("data", [STREAM, {}], ids=["streamed", "plain"])
async def test_where_nothing_began_it_says_so(data: dict[str, Any]) -> None:
    sighting.begin("acompletion")
    error: Exception = litellm.InternalServerError("Connection error.", llm_provider="openai", model="gpt")
    error.__cause__ = httpx.ConnectError("All connection attempts failed")
    answers.note(error, data)
    answer = ProxyException(message=str(error), type="None", param="None", code=500)
    assert (answer.code, answer.message) == ("503", "The provider could not be reached.")


async def test_a_clients_own_error_that_ends_a_stream_is_told_as_one() -> None:
    error = httpx.ConnectError("Cannot connect to host 127.0.0.1:1")
    assert answered(error, code=500)[0] == "The provider could not be reached."
    assert answered(error, {}, code=500)[0] == str(ProxyException(str(error), "None", "None", 500).message)


async def test_an_error_is_never_told_as_a_success() -> None:
    """LiteLLM 1.83 answers 200 where a body that came with one could not be read."""
    sighting.begin("acompletion")
    answer = ProxyException(message="APIError: Unable to get json response", type="None", param="None", code=200)
    assert (answer.code, answer.message) == ("503", "The provider's answer could not be read.")


async def test_the_next_request_has_its_own_answer() -> None:
    answered(limited())
    sighting.begin("acompletion")
    assert ProxyException(message="another", type="None", param="None", code=429).message == "another"


async def test_a_fault_in_it_leaves_the_answer_to_litellm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mended, "_is_about", lambda *_: 1 / 0)
    assert answered(error := limited()) == (str(error), {"x-mine": "1"})


async def test_a_plain_requests_answer_in_litellms_words_has_no_secret() -> None:
    token = "sk" + "-" + "aB3" * 16
    sighting.begin("acompletion")
    fields = {"error": {"said": [f"Bearer {token}", 3, None]}}
    answer = ProxyException(
        message=f"OpenAIException - {token}",
        type="None",
        param=f"key {token}",
        code=401,
        provider_specific_fields=fields,
    )
    assert token not in str(answer.to_dict())
    assert answer.to_dict()["provider_specific_fields"]["error"]["said"][1:] == [3, None]
    assert fields == {"error": {"said": [f"Bearer {token}", 3, None]}}


async def test_an_answer_to_what_the_guard_does_not_serve_is_left_alone() -> None:
    sighting._current.set(None)
    answer = ProxyException(message="no such team: team_id=abc", type="None", param="None", code=404)
    assert answer.message == "no such team: team_id=abc"


async def test_what_litellm_has_no_name_for_is_no_broken_connection() -> None:
    """It calls everything an APIConnectionError that it does not know, with words that a client needs."""
    error: Exception = litellm.APIConnectionError("OllamaException - model not found", llm_provider="ollama", model="m")
    assert answered(error, {}, code=500)[0] == str(error)
