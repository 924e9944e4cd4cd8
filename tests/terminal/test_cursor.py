"""`/cursor/chat/completions`: asked as the Responses API, answered as chat; how it fails is told in chat's protocol."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import secrets
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.harness.keys import fresh_key
from tests.harness.provider.script import Script, words
from tests.harness.witness import gauge, settled
from tests.terminal.cells import FAILURES, PROVIDERS, Cell
from tests.terminal.sdks import ask
from tests.terminal.test_healthy import without_ids

if TYPE_CHECKING:
    from tests.harness.config import Setup
    from tests.harness.keys import Key
    from tests.harness.proxy import Proxies, Proxy
    from tests.harness.redis_server import RedisServer
    from tests.harness.versions import Version

pytestmark = pytest.mark.more

MODELS = ("openai", "anthropic", "gemini")
PATH = "/cursor/chat/completions"


@pytest.fixture(autouse=True)
def _served(litellm_version: Version) -> None:
    if not litellm_version.serves_cursor:
        pytest.skip(f"{litellm_version} has no stream on this route")


async def answer(proxy: Proxy, model: str, script: Script, key: Key | None = None) -> tuple[int, str]:
    """Its status and its body, as they are on the wire."""
    body = {"model": model, "input": str(script), "stream": True}
    headers = {"Authorization": f"Bearer {(key or fresh_key()).secret}"}
    async with httpx.AsyncClient(timeout=20, trust_env=False) as client:
        said = await client.post(f"{proxy.url}{PATH}", json=body, headers=headers)
    return said.status_code, said.text


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("name", ["mid429", "mid500", "reset", "close"])
async def test_a_failure_in_mid_stream_is_one_to_a_chat_client(
    failing_proxy: Proxy, redis_server: RedisServer, model: str, name: str
) -> None:
    key, cell = fresh_key(cap=4), Cell("cursor", PROVIDERS[model], FAILURES[name])
    seen = await ask("cursor", failing_proxy.url, key.secret, model, cell.text(secrets.token_hex(6)))

    told = [status for status in cell.statuses(failing_proxy.setup.version) if str(status) in (seen.code or "")]
    assert (seen.raised, len(told)) == ("APIError", 1), (seen, seen.message)
    assert words(3).startswith(seen.text)
    assert await settled(lambda: gauge(redis_server.client, key), 0) == 0


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("name", ["mid429", "close"])
async def test_a_stream_that_fails_has_no_event_of_the_other_protocol(
    failing_proxy: Proxy, model: str, name: str
) -> None:
    text = FAILURES[name].script(secrets.token_hex(6), PROVIDERS[model].upstream)
    status, body = await answer(failing_proxy, model, text)
    *chunks, last, done = [line.removeprefix("data: ") for line in body.splitlines() if line]

    assert (status, done) == (200, "[DONE]")
    assert {json.loads(chunk)["object"] for chunk in chunks} == {"chat.completion.chunk"}
    assert list(json.loads(last)) == ["error"]


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("name", ["http429", "first429"])
async def test_a_failure_before_its_content_has_a_status(failing_proxy: Proxy, model: str, name: str) -> None:
    text = str(FAILURES[name].script(secrets.token_hex(6), PROVIDERS[model].upstream))
    seen = await ask("cursor", failing_proxy.url, fresh_key().secret, model, text)

    assert (seen.raised, seen.status) == ("RateLimitError", 429), (seen, seen.message)


async def test_a_whole_stream_is_the_one_that_litellm_alone_sends(proxies: Proxies, failing: Setup) -> None:
    guarded, bare = (proxies.shared(dataclasses.replace(failing, guarded=state)) for state in (True, False))

    # 1.108 tells the client, in the last chunk of Anthropic's and Gemini's, the hash of its key and the proxy's address
    # (`metadata` and `provider_specific_fields`, of the request): no two keys, no two proxies have the same stream.
    key = fresh_key(cap=None)

    async def whole(proxy: Proxy, model: str, shape: str) -> tuple[int, str]:
        status, body = await answer(proxy, model, Script("healthy", chunks=4, shape=shape), key)
        return status, without_ids(body).replace(proxy.url, "")

    asked = [(model, shape) for model in MODELS for shape in ("", "tools", "length")]
    ones, others = [await asyncio.gather(*(whole(proxy, *one) for one in asked)) for proxy in (guarded, bare)]

    assert [status for status, _ in ones] == [200] * len(asked)
    assert dict(zip(asked, ones, strict=True)) == dict(zip(asked, others, strict=True))
