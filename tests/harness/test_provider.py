"""The provider does what its script says: else a cell of the matrix could pass without its ending."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.harness.provider.handle import Control
from tests.harness.provider.script import Script, find

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.harness.provider.handle import Provider

STREAMS = {
    "/v1/chat/completions": "[DONE]",
    "/v1/completions": "[DONE]",
    "/custom": "[DONE]",
    "/v1/messages": "message_stop",
    "/v1/responses": "response.completed",
    "/v1beta/models/gem:streamGenerateContent?alt=sse": "STOP",
    "/v1beta/models/gem:streamGenerateContent": "STOP",
}


@pytest.fixture
def control(provider: Provider, http: httpx.AsyncClient) -> Control:
    return Control(provider, http)


@pytest.fixture
def ask(provider: Provider, http: httpx.AsyncClient) -> Callable[..., Any]:
    """A request to the provider itself, with no proxy between."""

    def open_stream(script: Script, path: str = "/v1/chat/completions", *, stream: bool = True) -> Any:
        body = {"model": "gpt", "stream": stream, "messages": str(script)}
        return http.stream("POST", f"{provider.url}{path}", json=body)

    return open_stream


@pytest.fixture
def script(request: pytest.FixtureRequest) -> Script:
    return Script(request.node.name.translate({ord(c): "_" for c in "[]/:?=-"}), chunks=3)


def test_a_script_survives_its_way_through_json() -> None:
    script = Script("a1", chunks=7, stall="headers", gap=0.5, break_step=3, break_by="cut")
    assert find(json.dumps({"x": [f"say {script}"]}), "any") == script


def test_a_script_for_one_model_leaves_the_others_to_the_next() -> None:
    failing, fine = Script("a1", only="first", status=500), Script("a1")
    assert [find(f"{failing}{fine}", model) for model in ("first", "second")] == [failing, fine]


@pytest.mark.parametrize(("path", "terminal"), STREAMS.items())
async def test_a_stream_is_whole(
    ask: Callable[..., Any], control: Control, script: Script, path: str, terminal: str
) -> None:
    async with ask(script, path) as answer:
        text = (await answer.aread()).decode()
    assert answer.status_code == 200
    assert [text.count(f'"word{index} "') for index in range(4)] == [1, 1, 1, 0]
    assert terminal in text
    counts = await control.wait(script.run, open=0)
    assert (counts.total, counts.answered, counts.hung_up, counts.peak) == (1, 1, 0, 1)


@pytest.mark.parametrize("stall", ["headers", "0", "2", "end"])
async def test_a_stall_lasts_until_it_is_released(
    ask: Callable[..., Any], control: Control, script: Script, stall: str
) -> None:
    async def read() -> str:
        async with ask(replace(script, stall=stall)) as answer:
            await answer.aread()
            return str(answer.text)

    reading = asyncio.create_task(read())
    await control.wait(script.run, stalled=1, open=1)
    assert not reading.done()
    await control.release(script.run)
    assert "[DONE]" in await reading


async def test_a_body_that_is_held_before_its_end_has_its_last_event_out(
    ask: Callable[..., Any], control: Control, script: Script
) -> None:
    async with ask(replace(script, stall="end")) as answer:
        pieces, text = answer.aiter_text(), ""
        while "[DONE]" not in text:
            text += await asyncio.wait_for(anext(pieces), 10)
        await control.wait(script.run, stalled=1, open=1, answered=0)
        await control.release(script.run)
        assert [piece async for piece in pieces] == []
    assert (await control.wait(script.run, open=0)).answered == 1


async def test_a_caller_who_hangs_up_is_noticed(ask: Callable[..., Any], control: Control, script: Script) -> None:
    async with ask(replace(script, stall="1")) as answer:
        pieces = answer.aiter_text()
        assert "word0" in await anext(pieces)
        assert not await control.hung_up(script.run, within=0.1)
    counts = await control.wait(script.run, hung_up=1, open=0, stalled=0)
    assert counts.answered == 0


@pytest.mark.parametrize(
    ("break_by", "fault"), [("reset", httpx.ReadError), ("cut", httpx.RemoteProtocolError), ("end", None)]
)
async def test_a_stream_breaks_off(
    ask: Callable[..., Any], control: Control, script: Script, break_by: Any, fault: type[Exception] | None
) -> None:
    text, raised = "", None
    async with ask(replace(script, break_step=2, break_by=break_by)) as answer:
        try:
            async for piece in answer.aiter_text():
                text += piece
        except httpx.TransportError as broken:
            raised = type(broken)
    assert raised == fault
    assert ("word1" in text, "word2" in text, "[DONE]" in text) == (True, False, False)
    counts = await control.wait(script.run, open=0)
    assert (counts.answered, counts.hung_up) == (1, 0)


@pytest.mark.parametrize("path", [path for path in STREAMS if path != "/v1beta/models/gem:streamGenerateContent"])
async def test_an_error_event_ends_a_stream(ask: Callable[..., Any], script: Script, path: str) -> None:
    async with ask(replace(script, error_step=2), path) as answer:
        text = (await answer.aread()).decode()
    assert text.rstrip().rpartition("\n")[2].count("scripted 429") == 1
    assert "word2" not in text


async def test_the_first_attempts_fail(ask: Callable[..., Any], script: Script) -> None:
    seen = []
    for _ in range(3):
        async with ask(replace(script, status=429, retry_after=9, fail_first=2), stream=False) as answer:
            seen.append((answer.status_code, answer.headers.get("Retry-After")))
    assert seen == [(429, "9"), (429, "9"), (200, None)]


async def test_waiting_in_vain_fails_with_what_there_is(control: Control) -> None:
    with pytest.raises(AssertionError, match=r"waited 0\.05 s for {'open': 3} of run nobody, but has Counts\(open=0"):
        await control.wait("nobody", within=0.05, open=3)
