"""A client of the Responses API decides by the provider's own code whether to ask again: it must be told that one."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

import openai
import pytest

from tests.harness.keys import fresh_key
from tests.harness.provider.responses import FAILED
from tests.harness.provider.script import Script
from tests.terminal.sdks import frames
from tests.terminal.sse import parse

if TYPE_CHECKING:
    from tests.harness.proxy import Proxy

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
