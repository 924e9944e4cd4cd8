"""What an operator has set stays true of streams that fail: cooldowns, fallbacks, timeouts, callbacks of their own."""

from __future__ import annotations

import asyncio
import dataclasses
import secrets
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tests.harness.keys import fresh_key
from tests.harness.provider.script import Script, words
from tests.harness.witness import attached, gauge, settled, wait_until
from tests.terminal.cells import FAILURES, PROVIDERS, Cell
from tests.terminal.sdks import ask

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.harness.config import Setup
    from tests.harness.provider.handle import Control, Provider
    from tests.harness.proxy import Proxies, Proxy
    from tests.harness.redis_server import RedisServer

pytestmark = pytest.mark.more

SDKS = ("chat", "messages", "responses")
COOLED = [(sdk, failure) for sdk in SDKS for failure in ("http429", "mid429", "close")]


def guard_block(**block: Any) -> str:
    return yaml.safe_dump({"callback_settings": {"cancel_guard": block}})


def pairs(provider: Provider) -> str:
    """A config of two deployments for each cell; the second is only asked while the first is cooled down."""
    params = {"api_key": "provider-key", "api_base": f"{provider.url}/v1"}
    models = [
        {"model_name": name, "litellm_params": {"model": f"openai/{which}-{name}", "weight": weight, **params}}
        for name in ("gpt", *(f"{sdk}-{failure}" for sdk, failure in COOLED))
        for which, weight in (("first", 1_000_000), ("second", 1))
    ]
    router = {"num_retries": 0, "disable_cooldowns": False, "allowed_fails": 0, "cooldown_time": 60}
    return yaml.safe_dump({"model_list": models, "router_settings": router})


async def cooled_down(proxy: Proxy, sdk: str, failure: str) -> bool:
    """Whether another deployment is asked once a stream of the first one has failed; LiteLLM notes it in its time."""
    secret, model = fresh_key(cap=None).secret, f"{sdk}-{failure}"
    failing = FAILURES[failure].script(secrets.token_hex(6), f"first-{model}")
    text = f"{failing} {Script('other', chunks=2)}"
    for _ in range(8):
        outcome = await ask(sdk, proxy.url, secret, model, text)
        if not outcome.raised and outcome.text == words(2):
            return True
        await asyncio.sleep(0.25)
    return False


@pytest.mark.timeout(180)
async def test_a_deployment_that_failed_is_cooled_down_as_without_the_guard(
    proxies: Proxies, failing: Setup, provider: Provider
) -> None:
    setups = [dataclasses.replace(failing, settings=pairs(provider), guarded=state) for state in (False, True)]
    bare, guarded = [
        await asyncio.gather(*(cooled_down(proxies.shared(setup), *cell) for cell in COOLED)) for setup in setups
    ]
    assert any(bare), "LiteLLM alone cools none down: this test can't tell anything"
    assert [cell for cell, one, other in zip(COOLED, bare, guarded, strict=True) if one and not other] == []


@pytest.mark.parametrize("failure", ["http429", "first429", "mid429"])
async def test_a_request_that_forbids_fallbacks_gets_no_more_of_them_than_without_the_guard(
    proxies: Proxies, failing: Setup, control: Control, failure: str
) -> None:
    """LiteLLM respects it before a stream exists; within one, 1.83 asks the fallback all the same."""
    cell = Cell("chat", PROVIDERS["openai"], FAILURES[failure], "good")
    attempts = []
    for guarded in (False, True):
        run, secret = secrets.token_hex(6), fresh_key().secret
        url = proxies.shared(dataclasses.replace(failing, guarded=guarded)).url
        outcome = await ask("chat", url, secret, cell.model, cell.text(run), disable_fallbacks=True)
        attempts.append((await control.counts(run)).total)
    assert attempts[0] == attempts[1]
    if attempts[1] == 1:
        assert outcome.raised == ("APIError" if cell.failure.begun else "RateLimitError")
        assert "429" in (outcome.code or "")
        assert outcome.text == (words(3) if cell.failure.begun else "")


@pytest.mark.parametrize("failure", ["first429", "mid429"])
async def test_a_fallback_to_another_protocol_is_not_blamed_for_what_failed_before_it(
    proxies: Proxies, failing: Setup, control: Control, failure: str
) -> None:
    """On `/v1/messages` OpenAI's streams are translated, and Anthropic's own pass as they are."""
    config = yaml.safe_load(failing.settings)
    config["litellm_settings"]["fallbacks"] = [{"openai": ["anthropic"]}]
    run, proxy = secrets.token_hex(6), proxies.shared(dataclasses.replace(failing, settings=yaml.safe_dump(config)))
    text = f"{FAILURES[failure].script(run, 'first-gpt')} {Script(run, chunks=5)}"
    outcome = await ask("messages", proxy.url, fresh_key().secret, "openai", text)
    if (await control.counts(run)).total == 1:
        assert outcome.raised, "LiteLLM has asked nobody else"
    else:
        assert (outcome.raised, outcome.text[-len(words(5)) :]) == ("", words(5))


@pytest.mark.parametrize("sdk", SDKS)
async def test_a_silent_stream_ends_in_a_timeout(
    proxies: Proxies, failing: Setup, control: Control, redis_server: RedisServer, sdk: str
) -> None:
    setup = dataclasses.replace(failing, settings=failing.settings + guard_block(idle_timeout=1))
    key, run = fresh_key(cap=1), secrets.token_hex(6)
    outcome = await ask(sdk, proxies.shared(setup).url, key.secret, "anthropic", str(Script(run, chunks=5, stall="3")))
    assert (outcome.text, outcome.raised) == (words(3), "APIStatusError" if sdk == "messages" else "APIError")
    assert "timeout_error" in (outcome.code or "")
    assert "silent for 1 seconds" in outcome.message
    await control.wait(run, open=0)
    assert await settled(lambda: gauge(redis_server.client, key), 0) == 0


@pytest.mark.parametrize(
    ("order", "code"), [("midway", {"400", "invalid_request_error"}), ("faulty", {"500", "api_error"})]
)
@pytest.mark.parametrize("sdk", SDKS)
async def test_a_callback_that_fails_in_the_middle_ends_a_stream_in_an_error(  # noqa: PLR0917
    proxies: Proxies,
    failing: Setup,
    control: Control,
    redis_server: RedisServer,
    sdk: str,
    order: str,
    code: set[str],
) -> None:
    """Without the guard it is a cut connection, or a silent end. The slot and the provider are free."""
    breaking = dataclasses.replace(failing, callbacks=("breaking.midway",), beside=("breaking.py",))
    key, run = fresh_key(cap=1), secrets.token_hex(6)
    script = Script(run, chunks=5, gap=0.2, proxy=order)
    outcome = await ask(sdk, proxies.shared(breaking).url, key.secret, "anthropic", str(script))
    # What a busy machine reads as one with the chunk that the callback fails at is lost with it.
    assert words(2).startswith(outcome.text)
    assert outcome.raised == ("APIStatusError" if sdk == "messages" else "APIError")
    assert code & set((outcome.code or "").split())
    await control.wait(run, open=0)
    assert await settled(lambda: gauge(redis_server.client, key), 0) == 0


@pytest.mark.timeout(300)
async def test_a_worker_whose_loop_stands_still_is_replaced(start: Callable[..., Proxy], failing: Setup) -> None:
    # Not shorter: a worker that starts on a busy machine stands still for a second or two by itself.
    # Not under the uvicorn of older releases, whose supervisor ends a worker that only starts slowly.
    supervisor = () if failing.version.at_least(1, 90) else ("--run_gunicorn",)
    block = guard_block(loop_stall_seconds=4, on_loop_stall="exit")
    env = (*failing.env, ("LITELLM_LOG", "INFO"))
    proxy = start(settings=failing.settings + block, workers=2, arguments=supervisor, env=env)
    before = set(proxy.workers)
    await attached(proxy, 2)
    asked = await ask("chat", proxy.url, fresh_key(block=30_000).secret, "openai", str(Script("stall")), within=20)
    assert asked.raised
    await wait_until(lambda: len(set(proxy.workers) - before) == 1, "the supervisor has started another", within=60)
    assert "the event loop has stood still for 4 seconds. This worker ends now" in proxy.text()
    await wait_until(lambda: proxy.text().count("Application startup complete") == 3, "it serves", within=60)
    outcomes = [await ask("chat", proxy.url, fresh_key().secret, "openai", str(Script("on"))) for _ in range(6)]
    assert [outcome.raised for outcome in outcomes] == [""] * 6
