"""Of what providers send when they fail nothing passes for a whole answer; and no whole answer is called failed."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import pytest

from tests.failures.kinds import OPENAI
from tests.failures.play import Cell, cells, counted, play, settings
from tests.failures.provider import Sending
from tests.harness.keys import fresh_key

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.harness.config import Setup
    from tests.harness.proxy import Proxies, Proxy


COMMONEST = {
    *("reason network_error", "field error", "half and done", "broken line", "then whole", "whole", "crlf, split"),
    *("error: null", "speaks of errors", "filter behind the end", "error", "load", "closed", "length", "pings"),
    *("nameless error, then the end", "of another protocol, then the end", "reason in a tool call", "line separator"),
}


@pytest.fixture(scope="session")
def sending() -> Iterator[Sending]:
    server = Sending()
    yield server
    server.close()


@pytest.fixture
def failing_proxy(proxies: Proxies, setup: Setup, sending: Sending) -> Proxy:
    return proxies.shared(dataclasses.replace(setup, settings=settings(sending.url)))


@pytest.mark.failures
@pytest.mark.timeout(600)
async def test_no_failure_passes_for_a_whole_answer_and_no_whole_one_for_a_failure(failing_proxy: Proxy) -> None:
    await judge(failing_proxy, list(cells()))


async def test_the_commonest_failures_are_failures_and_the_oddest_whole_answers_whole(failing_proxy: Proxy) -> None:
    usual = list(cells(("openai", "hosted_vllm", "anthropic", "ollama_chat")))
    await judge(failing_proxy, [cell for cell in usual if cell.kind.name in COMMONEST])


async def test_a_deployment_may_end_its_streams_without_an_end(failing_proxy: Proxy) -> None:
    """`model_info: {cancel_guard: {on_truncation: pass}}`; what it says of a failure is one all the same."""
    kinds = {kind.name: Cell("chat", "passing", kind) for kind in OPENAI}
    asked = [kinds["half and done"], kinds["reason network_error"]]
    passed, failed = await play(failing_proxy.url, fresh_key(cap=100).secret, asked)
    assert passed.whole, passed
    assert not failed.whole


async def test_a_reason_that_nobody_documents_goes_out_as_it_is(failing_proxy: Proxy) -> None:
    kinds = {kind.name: kind for kind in OPENAI}
    providers = ("openai", "hosted_vllm", "groq")
    asked = [Cell("chat", provider, kinds["unknown reason"]) for provider in providers]
    seen = await play(failing_proxy.url, fresh_key(cap=100).secret, [*asked, *asked])
    assert [one.finish for one in seen] == ["eos_by_magic"] * len(seen)
    logged = [failing_proxy.text().count(f"{name}/m ends answers with 'eos_by_magic'") for name in providers]
    assert logged == [1, 1, 1]


async def judge(proxy: Proxy, asked: list[Cell]) -> None:
    seen = await play(proxy.url, fresh_key(cap=100).secret, asked)
    counts = counted(asked, seen)
    wrong = [
        f"{one.verdict(cell.kind)}: {cell}: {one.status} {one.text!r} {one.error[:160]}"
        for cell, one in zip(asked, seen, strict=True)
        if one.verdict(cell.kind) in ("silent", "false alarm")
    ]
    print(f"{proxy.setup.version} {'guarded' if proxy.setup.guarded else 'bare'}: {dict(counts)}")
    assert not wrong, "\n".join([str(dict(counts)), *wrong])
