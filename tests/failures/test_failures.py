"""Of what providers send when they fail nothing passes for a whole answer; and no whole answer is called failed."""

from __future__ import annotations

import asyncio
import dataclasses
import time
from typing import TYPE_CHECKING

import pytest
import yaml

from litellm_cancel_guard.host.endless import IN_A_ROW
from tests.failures.kinds import ENDLESS_ANTHROPIC, ENDLESS_OPENAI, OPENAI
from tests.failures.play import ROUTES, Cell, cells, counted, play, settings
from tests.failures.provider import Sending
from tests.harness.keys import fresh_key
from tests.harness.witness import settled
from tests.terminal import vertex

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.harness.config import Setup
    from tests.harness.proxy import Proxies, Proxy
    from tests.harness.redis_server import RedisServer


COMMONEST = {
    *("reason network_error", "field error", "half and done", "broken line", "then whole", "whole", "crlf, split"),
    *("error: null", "speaks of errors", "filter behind the end", "error", "load", "closed", "length", "pings"),
    *("reason MALFORMED_FUNCTION_CALL", "reason behind a call", "reason ERROR", "reason malformed_model_output"),
    *("serviceUnavailableException", "error message", "tool call cut", "incomplete by max_output_tokens"),
    *("reason one frame later", "no response.completed", "end by itself", "unknown reason"),
    *("nameless error, then the end", "of another protocol, then the end", "reason in a tool call", "line separator"),
}


_OF_THEIR_OWN = ("gemini", "cohere", "converse", "claude")
_USUAL = (
    *("openai", "hosted_vllm", "watsonx", "anthropic", "ollama_chat"),
    *(*_OF_THEIR_OWN, "nova", "upstream", "bridged"),
)
_OPEN_ENDED = ("openai", "hosted_vllm", "anthropic", "ollama_chat", *_OF_THEIR_OWN)
# Two seconds for each, of which eight are served at a time.
_LONGEST = 20


@pytest.fixture(scope="session")
def sending() -> Iterator[Sending]:
    server = Sending()
    yield server
    server.close()


@pytest.fixture(scope="session")
def deployed(sending: Sending, tmp_path_factory: pytest.TempPathFactory) -> str:
    return settings(sending.url, str(vertex.service_account(sending.url, tmp_path_factory.mktemp("vertex"))))


@pytest.fixture
def failing(setup: Setup, deployed: str) -> Setup:
    return dataclasses.replace(setup, settings=deployed, libraries=str(vertex.libraries()))


@pytest.fixture
def failing_proxy(proxies: Proxies, failing: Setup) -> Proxy:
    return proxies.shared(failing)


@pytest.mark.failures
@pytest.mark.timeout(1200)
async def test_no_failure_passes_for_a_whole_answer_and_no_whole_one_for_a_failure(failing_proxy: Proxy) -> None:
    await judge(failing_proxy, list(cells()))


@pytest.mark.timeout(300)
async def test_the_commonest_failures_are_failures_and_the_oddest_whole_answers_whole(failing_proxy: Proxy) -> None:
    await judge(failing_proxy, [cell for cell in cells(_USUAL) if cell.kind.name in COMMONEST])


async def test_a_deployment_may_end_its_streams_without_an_end(failing_proxy: Proxy) -> None:
    """`model_info: {cancel_guard: {on_truncation: pass}}`; what it says of a failure is one all the same."""
    kinds = {kind.name: Cell("chat", "passing", kind) for kind in OPENAI}
    asked = [kinds["half and done"], kinds["reason network_error"]]
    passed, failed = await play(failing_proxy.url, fresh_key(cap=100).secret, asked)
    assert passed.whole, passed
    assert not failed.whole


@pytest.mark.more
async def test_a_deployment_that_ends_none_of_its_streams_is_named_once_in_the_log(failing_proxy: Proxy) -> None:
    """Whoever reads the stream: the openai SDK, LiteLLM's own readers, or the route where LiteLLM hands it on."""
    asked = [("chat", "openai"), ("chat", "watsonx"), ("messages", "anthropic"), ("messages", "gemini")]
    asked += [("responses", "upstream"), ("chat", "nova"), ("responses", "bridged")]
    closed = [cell for cell in cells() if (cell.route, cell.provider) in asked and cell.kind.name == "closed"]
    often = [dataclasses.replace(cell, group=f"endless_{cell.provider}") for cell in closed] * (IN_A_ROW + 2)
    seen = await play(failing_proxy.url, fresh_key(cap=1000).secret, often)
    assert not any(one.whole for one in seen)
    text = failing_proxy.text()
    named = {provider: text.count(f"streams of endless_{provider} (") for _, provider in asked}
    # From 1.108 on LiteLLM itself fails a Responses stream that is cut (responses/streaming_iterator.py).
    assert {name: count for name, count in named.items() if count != 1}.keys() <= {"upstream", "bridged"}
    assert max(named.values()) == 1


async def test_a_reason_that_nobody_documents_goes_out_as_it_is(failing_proxy: Proxy) -> None:
    kinds = {kind.name: kind for kind in OPENAI}
    providers = ("openai", "hosted_vllm", "groq")
    asked = [Cell("chat", provider, kinds["unknown reason"]) for provider in providers]
    seen = await play(failing_proxy.url, fresh_key(cap=100).secret, [*asked, *asked])
    assert [one.finish for one in seen] == ["eos_by_magic"] * len(seen)
    logged = [failing_proxy.text().count(f"{name}/m ends answers with 'eos_by_magic'") for name in providers]
    assert logged == [1, 1, 1]


async def test_a_whole_answer_whose_connection_stays_open_is_whole(failing_proxy: Proxy, sending: Sending) -> None:
    """Its client is not kept, nor its slot, nor the provider's connection."""
    usual = cells(_OPEN_ENDED, ROUTES)
    asked = [cell for cell in usual if cell.kind.stays or cell.kind.name == "breaks behind the end"]
    began = time.monotonic()
    await judge(failing_proxy, asked)
    assert time.monotonic() - began < _LONGEST
    assert await settled(lambda: len(sending.open), 0) == 0, sending.open


@pytest.mark.more
async def test_what_such_an_answer_has_cost_is_counted_and_its_slot_is_free(
    failing_proxy: Proxy, redis_server: RedisServer
) -> None:
    store = redis_server.client

    async def tokens(cell: Cell) -> Callable[[], int]:
        key = fresh_key(cap=1, tpm=100_000)
        for _ in range(2):
            [seen] = await play(failing_proxy.url, key.secret, [cell])
            assert seen.verdict(cell.kind) == "right", f"{cell}: {seen}"
        return lambda: int(store.get(f"{{api_key:{key.name}}}:tokens") or 0)

    ends = ("stays open", "stays shut")
    asked = [cell for cell in cells(_OPEN_ENDED, ROUTES) for name in ends if cell.kind.name == name]
    counts = await asyncio.gather(*map(tokens, asked))
    pairs = list(zip(counts[::2], counts[1::2], strict=True))
    assert await settled(lambda: sum(one() != other() for one, other in pairs), 0) == 0, asked
    assert all(count() for count in counts)


@pytest.mark.thorough
async def test_a_silence_and_pings_for_ever_end_each_after_a_time_of_its_own(
    proxies: Proxies, failing: Setup, sending: Sending
) -> None:
    block = yaml.safe_dump({"callback_settings": {"cancel_guard": {"idle_timeout": 1, "ping_timeout": 2}}})
    proxy = proxies.shared(dataclasses.replace(failing, settings=failing.settings + block))
    asked = [
        Cell(route, provider, kind)
        for providers, kinds in ((("openai", "hosted_vllm"), ENDLESS_OPENAI), (("anthropic",), ENDLESS_ANTHROPIC))
        for provider in providers
        for route in ROUTES
        for kind in kinds
    ]
    words = {"silent for ever": "silent for 1 seconds", "pinged for ever": "nothing but pings for 2 seconds"}
    seen = await play(proxy.url, fresh_key(cap=100).secret, asked)
    wrong = [f"{cell}: {one}" for cell, one in zip(asked, seen, strict=True) if words[cell.kind.name] not in one.error]
    assert not wrong, "\n".join(wrong)
    assert await settled(lambda: len(sending.open), 0) == 0, sending.open


async def judge(proxy: Proxy, asked: list[Cell]) -> None:
    asked = [cell for cell in asked if cell.is_served_by(proxy.setup.version)]
    seen = await play(proxy.url, fresh_key(cap=100).secret, asked)
    counts = counted(asked, seen)
    wrong = [
        f"{one.verdict(cell.kind)}: {cell}: {one.status} {one.text!r} {one.error[:160]}"
        for cell, one in zip(asked, seen, strict=True)
        if one.verdict(cell.kind) in ("silent", "false alarm", "wordless")
    ]
    print(f"{proxy.setup.version} {'guarded' if proxy.setup.guarded else 'bare'}: {dict(counts)}")
    assert not wrong, "\n".join([str(dict(counts)), *wrong])
