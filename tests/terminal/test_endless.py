"""Deployments whose every stream ends without an end are named, once, and no other."""

from __future__ import annotations

import logging
import time
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from litellm_cancel_guard.host import endless
from litellm_cancel_guard.host.endless import IN_A_ROW, Endless
from litellm_cancel_guard.host.mends import behind, source, wires
from litellm_cancel_guard.host.mends.source import watched
from litellm_cancel_guard.settings import Settings
from litellm_cancel_guard.stream import guarded
from litellm_cancel_guard.terminal.events import Protocol
from litellm_cancel_guard.terminal.failure import ProviderStreamError
from tests.failures.aws import NOVA
from tests.failures.kinds import BEGUN, DONE, REST, ended, said
from tests.terminal.loose import touch
from tests.terminal.scripted import Provider, Reader, begun, whole
from tests.terminal.test_amazon import Closed
from tests.terminal.test_wires import of_litellms, of_the_sdk, of_watsonx

if TYPE_CHECKING:
    from collections.abc import Iterator

    from litellm_cancel_guard.host.grafting import Touch

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:pydantic")
CUT, WHOLE = (BEGUN,), (BEGUN, said(REST), ended(), DONE)


def chosen(number: int = 7, group: str = "muse", **more: Any) -> dict[str, Any]:
    """What the router notes of the deployment that it has chosen."""
    about = {"model_info": {"id": f"id-{number}"}, "deployment": "openai/m", "model_group": group, **more}
    return {"metadata": about}


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> Endless:
    fresh = Endless()
    for module in (source, behind):
        monkeypatch.setattr(module, "ENDLESS", fresh)
    return fresh


@pytest.fixture
def put_in() -> Iterator[Touch]:
    put_in = touch()
    assert wires.mend(Settings(), put_in)
    yield put_in
    put_in.take_out()


class Wrapper:
    custom_llm_provider = "openai"
    model = "m"

    def __init__(self, **params: Any) -> None:
        self.logging_obj = SimpleNamespace(model_call_details={"litellm_params": params})


async def read(stream: Any, *, tell_truncation: bool = True) -> None:
    holder = Wrapper(**chosen())
    try:
        async for _ in watched(stream, holder, tell_truncation=tell_truncation):
            pass
    except ProviderStreamError:
        pass


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]


@pytest.mark.parametrize("stream", [of_the_sdk, of_litellms, of_watsonx])
@pytest.mark.parametrize("reads", [(BEGUN,), (BEGUN, DONE)])
async def test_it_is_named_once_with_what_to_set_for_it(
    put_in: Touch, seen: Endless, caplog: pytest.LogCaptureFixture, stream: Any, reads: tuple[bytes, ...]
) -> None:
    for _ in range(IN_A_ROW - 1):
        await read(stream(*reads))
    assert (seen.names(), lines(caplog)) == ([], [])
    for _ in range(IN_A_ROW):
        await read(stream(*reads))
    assert seen.names() == ["muse (openai/m)"]
    [line] = lines(caplog)
    assert "muse (openai/m)" in line
    assert "model_info: {cancel_guard: {on_truncation: pass}}" in line


@pytest.mark.parametrize("stream", [of_the_sdk, of_litellms, of_watsonx])
async def test_one_whole_stream_in_between_is_enough_that_it_is_not(
    put_in: Touch, seen: Endless, caplog: pytest.LogCaptureFixture, stream: Any
) -> None:
    for _ in range(2):
        for _ in range(IN_A_ROW - 1):
            await read(stream(*CUT))
        await read(stream(*WHOLE))
    assert (seen.names(), lines(caplog)) == ([], [])


@pytest.mark.parametrize("reads", [CUT, WHOLE])
async def test_once_it_may_end_in_any_way_it_is_named_no_more(
    put_in: Touch, seen: Endless, reads: tuple[bytes, ...]
) -> None:
    for _ in range(IN_A_ROW):
        await read(of_the_sdk(*CUT))
    await read(of_the_sdk(*reads), tell_truncation=False)
    assert seen.names() == []


def test_an_hour_after_its_last_stream_it_is_named_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = Endless()
    for _ in range(IN_A_ROW):
        seen.ended(chosen(), cut=True)
    now = time.monotonic()
    monkeypatch.setattr(endless, "time", SimpleNamespace(monotonic=lambda: now + 3601))
    assert seen.names() == []


def test_where_the_router_has_a_place_of_its_own_the_clients_metadata_name_no_deployment() -> None:
    seen = Endless()
    for _ in range(IN_A_ROW):
        seen.ended({**chosen(8, "victim"), "litellm_metadata": chosen()["metadata"]}, cut=True)
    assert seen.names() == ["muse (openai/m)"]


async def test_what_fails_in_another_way_or_says_nothing_is_no_such_stream(put_in: Touch, seen: Endless) -> None:
    for _ in range(IN_A_ROW):
        await read(of_the_sdk(BEGUN, ended("network_error"), DONE))
        await read(of_the_sdk())
        await read(of_the_sdk(*CUT), tell_truncation=False)
    assert seen.names() == []


async def test_a_stream_of_bedrocks_is_counted_where_its_messages_are_read(seen: Endless) -> None:
    bodies = {kind.name: kind.body for kind in NOVA}
    request = httpx.Request("POST", "http://aws/model/m/invoke-with-response-stream")

    async def answer(body: bytes) -> None:
        made = httpx.Response(200, request=request, stream=Closed(body))
        behind._have_it_end(made, chosen())
        await made.aread()

    for _ in range(IN_A_ROW):
        with pytest.raises(Exception, match="before it was complete"):
            await answer(bodies["closed"])
    assert seen.names() == ["muse (openai/m)"]
    await answer(bodies["whole"])
    assert seen.names() == []


@pytest.mark.parametrize("protocol", [Protocol.MESSAGES, Protocol.RESPONSES, Protocol.GENAI])
async def test_what_litellm_hands_on_is_counted_on_its_route_unless_it_was_where_it_is_read(protocol: Protocol) -> None:
    for provider, cut in ((Provider(*begun(protocol)), True), (Provider(*whole(protocol)), False)):
        for counted, told in ((False, [cut]), (True, [])):
            reader, seen = Reader(protocol), list[bool]()
            reader.sighting.counted = counted
            reader.outcome.ended = seen.append
            await reader.read(provider)
            assert seen == told


@pytest.mark.parametrize("protocol", [Protocol.MESSAGES, Protocol.RESPONSES, Protocol.GENAI])
async def test_a_client_that_leaves_at_the_end_that_it_sees_leaves_a_whole_stream(protocol: Protocol) -> None:
    reader, seen, chunks = Reader(protocol), list[bool](), whole(protocol)
    reader.outcome.ended = seen.append
    reading = guarded(Provider(*chunks), reader._end, None, reader.outcome)
    for _ in chunks:
        await anext(reading)
    await reading.aclose()
    assert seen == [False]


async def test_so_does_one_of_bedrocks(seen: Endless) -> None:
    for _ in range(IN_A_ROW):
        seen.ended(chosen(), cut=True)
    body = next(kind.body for kind in NOVA if kind.name == "whole")
    judged = behind._Judged(Closed(body), chosen(), tell_truncation=True)
    reading: Any = judged.__aiter__()
    await anext(reading)
    await reading.aclose()
    assert seen.names() == []


def test_two_deployments_of_a_model_are_counted_each_for_itself() -> None:
    seen = Endless()
    for _ in range(IN_A_ROW):
        seen.ended(chosen(1), cut=True)
        seen.ended(chosen(2), cut=False)
    assert seen.names() == ["muse (openai/m)"]


def test_it_is_named_once_however_often_it_ends_well_in_between(caplog: pytest.LogCaptureFixture) -> None:
    seen = Endless()
    for _ in range(3):
        for _ in range(IN_A_ROW):
            seen.ended(chosen(), cut=True)
        seen.ended(chosen(), cut=False)
    assert len(lines(caplog)) == 1


def test_of_many_deployments_not_more_is_kept_and_a_name_of_a_clients_making_is_short(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(endless, "_MOST", 3)
    seen = Endless()
    for number in range(1000):
        seen.ended(chosen(number), cut=True)
    assert len(seen._runs) == 3
    for _ in range(IN_A_ROW):
        seen.ended(chosen(group="muse\n\x1b[31m" + "x" * 10_000), cut=True)
    [line] = lines(caplog)
    assert "muse[31mxxx" in line
    assert len(line) < 400


@pytest.mark.parametrize("data", [None, {}, {"metadata": None}, {"metadata": {"model_info": 7}}, {"metadata": {}}])
def test_where_no_deployment_is_known_nothing_is_counted(data: Any) -> None:
    seen = Endless()
    for _ in range(IN_A_ROW):
        seen.ended(data, cut=True)
    assert seen.names() == []
