"""LiteLLM behind LiteLLM: what the inner one says of a failure reaches the client of the outer one.

A guarded one tells every failure. One without the guard may have made a whole answer of it (1.83.14 on chat and on
/v1/messages to a model of OpenAI's), and a refusal without a `retry-after`: what it does not say can't be told.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio
import yaml

from tests.harness.clients import Caller
from tests.harness.config import Setup
from tests.harness.keys import fresh_key
from tests.harness.provider.handle import Control
from tests.harness.routes import ROUTES
from tests.harness.witness import gauge, settled

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import httpx

    from tests.harness.provider.handle import Provider
    from tests.harness.proxy import Proxies, Proxy
    from tests.harness.redis_server import RedisServer
    from tests.harness.versions import Version

pytestmark = [pytest.mark.servers, pytest.mark.timeout(240)]

STREAMED = ("chat", "messages", "messages_claude", "responses")
# For a model that is not Anthropic's the outer one asks the inner one on chat.
ASKED = {"messages": "chat"}
FAILS: dict[str, dict[str, Any]] = {
    "an error event": {"error_step": 2, "error_status": 429},
    "a reset": {"break_step": 2},
    "an end in mid-body": {"break_step": 2, "break_by": "cut"},
    "an end without an end": {"break_step": 2, "break_by": "end"},
}


def _models(inner: str) -> str:
    models = {"gpt": ("litellm_proxy/gpt", inner), "claude": ("anthropic/claude", inner)}
    return yaml.safe_dump(
        {
            "model_list": [
                {"model_name": name, "litellm_params": {"model": model, "api_base": base, "api_key": "sk-inner"}}
                for name, (model, base) in models.items()
            ]
        }
    )


@pytest.fixture(scope="module", params=[True, False], ids=["guarded", "bare"])
def inner(
    request: pytest.FixtureRequest,
    proxies: Proxies,
    litellm_version: Version,
    redis_server: RedisServer,
    provider: Provider,
) -> Proxy:
    setup = Setup(litellm_version, guarded=request.param, provider=provider.url, redis_port=redis_server.port)
    return proxies.shared(setup)


@pytest_asyncio.fixture
async def outer(proxies: Proxies, inner: Proxy, provider: Provider, http: httpx.AsyncClient) -> AsyncIterator[Caller]:
    """A caller of the proxy whose provider is the inner one."""
    setup = replace(inner.setup, guarded=True, settings=_models(inner.url), warm=False)
    caller = Caller(proxies.shared(setup), Control(provider, http), http)
    yield caller
    await caller.let_go()


@pytest_asyncio.fixture
async def inside(inner: Proxy, provider: Provider, http: httpx.AsyncClient) -> AsyncIterator[Caller]:
    """A caller of the inner one itself."""
    caller = Caller(inner, Control(provider, http), http)
    yield caller
    await caller.let_go()


@pytest.mark.parametrize("name", STREAMED)
async def test_a_whole_answer_comes_through_whole(outer: Caller, redis_server: RedisServer, name: str) -> None:
    one = fresh_key(cap=2)
    answer = await outer.streamed(ROUTES[name], one)
    assert answer.ended_well(ROUTES[name]), answer.text[-1000:]
    assert '"error":{' not in answer.text
    assert await settled(lambda: gauge(redis_server.client, one), 0) == 0


def failed(text: str) -> bool:
    return "error" in text.rstrip().removesuffix("data: [DONE]").rstrip().split("\n\n")[-1]


@pytest.mark.parametrize("fails", FAILS)
@pytest.mark.parametrize("name", STREAMED)
async def test_what_fails_behind_it_in_mid_stream_is_an_error(
    outer: Caller, inside: Caller, redis_server: RedisServer, name: str, fails: str
) -> None:
    one = fresh_key(cap=2)
    asked = ROUTES[ASKED.get(name, name)]
    alone = await inside.streamed(asked, fresh_key(cap=2), replace(inside.script(), **FAILS[fails]))
    answer = await outer.streamed(ROUTES[name], one, replace(outer.script(), **FAILS[fails]))
    if inside.proxy.setup.guarded or not alone.ended_well(asked):
        assert failed(answer.text), answer.text[-1000:]
        # Behind an error of chat comes its [DONE] all the same.
        assert name == "chat" or not answer.ended_well(ROUTES[name]), answer.text[-1000:]
        assert '"finish_reason":"stop"' not in answer.text
    assert await settled(lambda: gauge(redis_server.client, one), 0) == 0


@pytest.mark.parametrize("name", STREAMED)
async def test_its_refusal_keeps_status_and_retry_after(
    outer: Caller, inside: Caller, redis_server: RedisServer, name: str
) -> None:
    one, asked = fresh_key(cap=2), ROUTES[ASKED.get(name, name)]
    alone = await inside.streamed(asked, fresh_key(cap=2), replace(inside.script(), status=429, retry_after=7))
    answer = await outer.streamed(ROUTES[name], one, replace(outer.script(), status=429, retry_after=7))
    assert answer.status == 429, answer.text[-1000:]
    said = alone.headers.get("retry-after", alone.headers.get("llm_provider-retry-after"))
    assert answer.headers.get("retry-after") == ("7" if inside.proxy.setup.guarded else said)
    assert await settled(lambda: gauge(redis_server.client, one), 0) == 0
