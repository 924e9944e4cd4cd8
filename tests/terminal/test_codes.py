"""A client of the Responses API decides by the provider's own code whether to ask again: it must be told that one."""

from __future__ import annotations

import secrets
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import openai
import pytest

from tests.harness.keys import fresh_key
from tests.harness.provider.responses import FAILED
from tests.harness.provider.script import Script
from tests.terminal.sdks import frames
from tests.terminal.sse import parse

if TYPE_CHECKING:
    import httpx

    from tests.harness.proxy import Proxy

pytestmark = pytest.mark.more

# Each with the status of a request that fails so before anything has been said.
CODES = {"context_length_exceeded": 400, "insufficient_quota": 429, "cyber_policy": 400, "server_is_overloaded": 503}


def asks(code: str, step: int) -> str:
    """Has OpenAI end a response so at *step*."""
    return str(Script(secrets.token_hex(6), only="first-gpt", error_step=step, error_as=f"{FAILED}{code}"))


async def told(proxy: Proxy, text: str) -> Any:
    """What the SDK raises."""
    secret = fresh_key(cap=2).secret
    async with openai.AsyncOpenAI(base_url=f"{proxy.url}/v1", api_key=secret, max_retries=0, timeout=20) as client:
        with pytest.raises(openai.APIError) as raised:
            async for _ in await client.responses.create(model="openai", input=text, stream=True):
                pass
    return raised.value


@pytest.mark.parametrize("code", CODES)
async def test_it_is_the_providers_where_the_answer_has_begun(failing_proxy: Proxy, code: str) -> None:
    body = {"model": "openai", "input": asks(code, 2), "stream": True}
    pieces = [piece async for piece in frames(failing_proxy.url, fresh_key(cap=2).secret, "/v1/responses", body)]
    events = [event.data for event in parse(b"".join(pieces).decode()) if event.data != "[DONE]"]
    assert [event["type"] for event in events[-2:]] == ["error", "response.failed"]
    assert (events[-2]["code"], events[-1]["response"]["error"]["code"]) == (code, code)
    assert (await told(failing_proxy, asks(code, 2))).message == f"scripted {code}"


@pytest.mark.parametrize("code", CODES)
async def test_a_refusal_before_the_first_word_has_its_status(failing_proxy: Proxy, code: str) -> None:
    """As a 502 it would be asked again, twice, by each SDK of OpenAI's."""
    error = await told(failing_proxy, asks(code, 0))
    assert (error.status_code, f"scripted {code}" in error.message) == (CODES[code], True)
    assert (error.type == code) == (code == "insufficient_quota")


def failed(code: str) -> Script:
    return Script("", only="first-gpt", error_step=0, error_as=f"{FAILED}{code}")


# What a provider says of its limit before the first word, and the seconds that its client is told to wait.
GPT, CLAUDE, FLASH = (
    ("openai", Script("", only="first-gpt", error_step=0)),
    ("anthropic", Script("", only="claude-3-5-haiku-20241022", error_step=0)),
    ("gemini", Script("", only="gemini-2.0-flash", error_step=0)),
)
LIMITS: dict[str, tuple[str, Script, str | None]] = {
    "OpenAI's event": (*GPT, "6"),
    "OpenAI's rate_limit_exceeded": ("openai", failed("rate_limit_exceeded"), "6"),
    "OpenAI's insufficient_quota": ("openai", failed("insufficient_quota"), None),
    "OpenAI's usage_not_included": ("openai", failed("usage_not_included"), None),
    "a gateway's billing_not_active": ("openai", failed("billing_not_active"), None),
    "Anthropic's event": (*CLAUDE, "6"),
    "Google's event": (*FLASH, "6"),
}
# The same, where it has answered by a status.
ANSWERS: dict[str, tuple[str, Script, str | None]] = {
    "OpenAI's": ("openai", Script("", only="first-gpt", status=429), "6"),
    "OpenAI's, with a delay": ("openai", Script("", only="first-gpt", status=429, retry_after=9), "9"),
    "OpenAI's insufficient_quota": ("openai", replace(failed("insufficient_quota"), status=429), None),
    "OpenAI's usage_not_included": ("openai", replace(failed("usage_not_included"), status=429), None),
    "Anthropic's": ("anthropic", replace(CLAUDE[1], status=429), "6"),
    "Google's": ("gemini", replace(FLASH[1], status=429), "6"),
}


async def answered(
    proxy: Proxy, http: httpx.AsyncClient, limit: tuple[str, Script, Any], **more: Any
) -> httpx.Response:
    model, script, _ = limit
    body = {"model": model, "input": str(replace(script, run=secrets.token_hex(6))), **more}
    headers = {"Authorization": f"Bearer {fresh_key(cap=2).secret}"}
    return await http.post(f"{proxy.url}/v1/responses", json=body, headers=headers)


@pytest.mark.parametrize("limit", LIMITS)
async def test_a_limit_before_the_first_word_says_for_how_long_to_wait(
    failing_proxy: Proxy, http: httpx.AsyncClient, limit: str
) -> None:
    """Codex ends its session at a 429 without whole seconds, where it asks again after the event of bare LiteLLM."""
    answer = await answered(failing_proxy, http, LIMITS[limit], stream=True)
    assert (answer.status_code, answer.headers.get("retry-after")) == (429, LIMITS[limit][2]), answer.text


@pytest.mark.parametrize("stream", [True, False], ids=["streamed", "plain"])
@pytest.mark.parametrize("limit", ANSWERS)
async def test_a_limit_that_is_an_answer_says_so_too(
    failing_proxy: Proxy, http: httpx.AsyncClient, limit: str, stream: bool
) -> None:
    answer = await answered(failing_proxy, http, ANSWERS[limit], stream=stream)
    assert (answer.status_code, answer.headers.get("retry-after")) == (429, ANSWERS[limit][2]), answer.text
