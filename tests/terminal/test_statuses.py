"""The status that a failure means, in its provider's words: of the answer before the first content, of its last event.

`told` has what providers have really sent. What LiteLLM's parsers swallow before anything reads it is not played here.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
import secrets
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from litellm_cancel_guard.terminal.wording import UNANSWERED, UNREACHABLE
from tests.harness.keys import fresh_key
from tests.harness.provider import told
from tests.harness.provider.script import Script
from tests.harness.tables import every
from tests.terminal import refusing
from tests.terminal.breaking import serving

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import httpx

    from tests.harness.config import Setup
    from tests.harness.provider.handle import Provider
    from tests.harness.proxy import Proxies, Proxy

AT_ONCE = 6
PATHS = {"chat": "/v1/chat/completions", "messages": "/v1/messages", "responses": "/v1/responses"}
# What a client must never be told.
INSIDES = ("litellm.", "Got unexpected", "MidStream", "Traceback", ".py", "user_2", "127.0.0.1", "provider-key")
NOTHING_BEGAN = (502, 503, 504)


class Cell(NamedTuple):
    route: str
    model: str
    name: str
    stream: bool = True

    def body(self, script: Script) -> dict[str, Any]:
        if self.route == "responses":
            return {"model": self.model, "input": str(script), "stream": self.stream}
        asked = [{"role": "user", "content": str(script)}]
        return {"model": self.model, "messages": asked, "max_tokens": 64, "stream": self.stream}

    def __str__(self) -> str:
        return f"{self.route} {self.model} {self.name}{'' if self.stream else ', plain'}"


# By provider, what its parser in LiteLLM leaves of it on every version.
READ: dict[str, tuple[str, ...]] = {
    "openai": tuple(name for name in told.CHAT if name not in ("xai", "idle")),
    "litellm_proxy": ("number", "text", "refused"),
    "ollama_chat": ("eof",),
}
CHAT = [Cell("chat", model, name) for model, names in READ.items() for name in names]
MESSAGES = [Cell("messages", "anthropic", name) for name in ("named", "own-code", "llama")]
RESPONSES = [Cell("responses", "openai", name) for name in told.RESPONSES]
SAID = [*CHAT, *MESSAGES, *RESPONSES]


def said_on(proxy: Proxy) -> list[Cell]:
    """What is played on a version: 1.103 numbers an error event that begins `/v1/messages` by itself."""
    version = proxy.setup.version
    if version.at_least(1, 103) and not version.at_least(1, 106):
        return [cell for cell in SAID if cell not in MESSAGES]
    return SAID


@pytest.fixture(scope="session")
def breaking() -> Iterator[dict[str, str]]:
    with serving() as addresses:
        yield addresses


@pytest.fixture
def refusing_proxy(proxies: Proxies, setup: Setup, provider: Provider, breaking: dict[str, str]) -> Proxy:
    return proxies.shared(dataclasses.replace(setup, settings=refusing.settings(provider.url, breaking)))


class Asking:
    """Asks for each cell, a few at a time."""

    def __init__(self, proxy: Proxy, http: httpx.AsyncClient) -> None:
        self._proxy = proxy
        self._http = http
        self._key = fresh_key(cap=100)
        self._turn = asyncio.Semaphore(AT_ONCE)

    async def all(self, cells: Iterable[tuple[Cell, Script]]) -> list[httpx.Response]:
        return list(await asyncio.gather(*(self._one(*cell) for cell in cells)))

    async def _one(self, cell: Cell, script: Script) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self._key.secret}", "anthropic-version": "2023-06-01"}
        script = dataclasses.replace(script, run=secrets.token_hex(6))
        async with self._turn:
            url = f"{self._proxy.url}{PATHS[cell.route]}"
            return await self._http.post(url, json=cell.body(script), headers=headers, timeout=30)


def message(text: str) -> str:
    """The words of an answer that is an error, in any protocol."""
    try:
        said = json.loads(text)
    except ValueError:
        return ""
    error = said.get("error") if isinstance(said, dict) else None
    return str(error.get("message", "")) if isinstance(error, dict) else ""


def last_errors(text: str) -> list[dict[str, Any]]:
    """The errors that a stream's events tell of."""
    lines = [line.partition(":")[2].strip() for line in text.splitlines() if line.startswith("data:")]
    events = [json.loads(line) for line in lines if line.startswith("{")]
    return [event["error"] for event in events if isinstance(event.get("error"), dict)]


@pytest.mark.timeout(120)
async def test_before_the_first_content_it_is_the_status_of_the_answer(
    refusing_proxy: Proxy, http: httpx.AsyncClient
) -> None:
    asked = said_on(refusing_proxy)
    answers = await Asking(refusing_proxy, http).all(
        (cell, Script("", error_step=0, error_as=f"{told.TOLD}{cell.name}")) for cell in asked
    )
    wrong = [
        f"{cell}: {answer.status_code} {answer.text[:200]}"
        for cell, answer in zip(asked, answers, strict=True)
        if not _is_told(answer, told.ALL[cell.name])
    ]
    assert not wrong, f"{len(wrong)} of {len(asked)}:\n" + "\n".join(wrong)
    delays = {answer.headers.get("retry-after", "0") for answer in answers}
    assert all(delay.isdigit() for delay in delays)


def _is_told(answer: httpx.Response, said: told.Told) -> bool:
    clean = not any(inside in answer.text for inside in INSIDES)
    return answer.status_code == said.status and message(answer.text) == said.words and clean


@pytest.mark.timeout(120)
async def test_within_a_stream_it_is_the_one_error_that_ends_it(refusing_proxy: Proxy, http: httpx.AsyncClient) -> None:
    answers = await Asking(refusing_proxy, http).all(
        (cell, Script("", error_step=2, error_as=f"{told.TOLD}{cell.name}")) for cell in SAID
    )
    wrong = [
        f"{cell}: {problem}: {answer.text[-400:]}"
        for cell, answer in zip(SAID, answers, strict=True)
        if (problem := _not_ended(cell, answer, told.ALL[cell.name]))
    ]
    assert not wrong, f"{len(wrong)} of {len(SAID)}:\n" + "\n".join(wrong)


def _not_ended(cell: Cell, answer: httpx.Response, said: told.Told) -> str:
    errors = last_errors(answer.text)
    if answer.status_code != 200 or len(errors) != (2 if cell.route == "responses" else 1):
        return f"{len(errors)} errors"
    if said.words not in errors[-1]["message"] or any(inside in answer.text for inside in INSIDES):
        return "not in its words"
    if cell.route != "messages" and str(errors[-1]["code"]) != str(said.status):
        return "not with its status"
    return ""


NOWHERE = [
    Cell(route, f"{model}-{where}", "", stream)
    for route in PATHS
    for model in ("openai", "hosted_vllm", "anthropic", "gemini", "ollama_chat", "cohere", "converse", "claude")
    for where in ("refused", "nowhere", "plain")
    for stream in (True, False)
]
UNHEARD = [
    Cell(route, f"{model}-{where}", "", stream)
    for route in PATHS
    for model in ("openai", "hosted_vllm", "anthropic", "gemini", "ollama_chat", "cohere", "converse", "claude")
    for where, stream in (("killed", True), ("killed", False), ("closed", True), ("closed", False), ("headed", True))
]
HALF = [
    Cell(route, f"{model}-half", "", stream=False)
    for route in PATHS
    for model in ("openai", "hosted_vllm", "anthropic", "gemini", "ollama_chat", "cohere", "converse", "claude")
]
# Up to 1.93 half a body goes to LiteLLM's parser of that provider's answers, and the error is in that parser's
# words; Converse's says 422 (seen on 1.83.14).
_PARSED = ("gemini", "ollama_chat", "cohere", "converse")
WORDED_BY_A_PARSER = {
    "chat": (*_PARSED, "openai", "anthropic", "claude"),
    "messages": _PARSED,
    "responses": (*_PARSED, "anthropic", "claude"),
}


@pytest.mark.timeout(120)
@every(7)
async def test_where_nothing_began_the_answer_says_so(
    refusing_proxy: Proxy, http: httpx.AsyncClient, every: int
) -> None:
    asked = [(cell, Script("")) for cell in (*NOWHERE[::every], *UNHEARD[::every])]
    answers = await Asking(refusing_proxy, http).all(asked)
    wrong = [
        f"{cell}: {answer.status_code} {answer.text[:200]}"
        for (cell, _), answer in zip(asked, answers, strict=True)
        if answer.status_code not in NOTHING_BEGAN
        or message(answer.text) != (UNREACHABLE if cell in NOWHERE else UNANSWERED)
    ]
    assert not wrong, f"{len(wrong)} of {len(asked)}:\n" + "\n".join(wrong)


@pytest.mark.timeout(120)
async def test_an_answer_whose_body_breaks_off_is_an_error(refusing_proxy: Proxy, http: httpx.AsyncClient) -> None:
    tells = refusing_proxy.setup.version.tells_broken_bodies
    asked = [(cell, Script("")) for cell in HALF]
    answers = await Asking(refusing_proxy, http).all(asked)
    wrong = [
        f"{cell}: {answer.status_code} {answer.text[:200]}"
        for (cell, _), answer in zip(asked, answers, strict=True)
        if not _is_an_error(cell, answer, tells=tells)
    ]
    assert not wrong, f"{len(wrong)} of {len(asked)}:\n" + "\n".join(wrong)


def _is_an_error(cell: Cell, answer: httpx.Response, *, tells: bool) -> bool:
    model = cell.model.removesuffix("-half")
    parsed = not tells and model in WORDED_BY_A_PARSER[cell.route]
    failed = answer.status_code >= 500 or (parsed and model == "converse" and answer.status_code == 422)
    clean = parsed or not any(inside in answer.text for inside in INSIDES)
    return failed and clean and message(answer.text) != ""
