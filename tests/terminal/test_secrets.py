"""What providers say in errors, on every route and in every kind of error: no client reads a secret in it.

`--bare` shows how many of them LiteLLM alone shows.
"""

from __future__ import annotations

import asyncio
import dataclasses
import secrets
from typing import TYPE_CHECKING, NamedTuple

import pytest
import yaml

from tests.harness.keys import fresh_key
from tests.harness.provider.script import Script
from tests.harness.provider.sentences import GROUPS, Sentence
from tests.harness.routes import ROUTES

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.harness.clients import Answer, Caller
    from tests.harness.config import Setup
    from tests.harness.proxy import Proxies, Proxy
    from tests.harness.routes import Route
    from tests.harness.versions import Version

pytestmark = pytest.mark.thorough

AT_ONCE = 6
# Of each kind of error that a provider has; those that a guard's failure is told by, and those left to LiteLLM.
STATUSES = (429, 400, 500, 401, 503, 403)
PROVIDERS = {
    "openai": ("openai/gpt-4o-mini", "/v1"),
    "hosted_vllm": ("hosted_vllm/llama", "/v1"),
    "anthropic": ("anthropic/claude-3-5-haiku-20241022", ""),
    "gemini": ("gemini/gemini-2.0-flash", ""),
    "gpt": ("openai/gpt-4o-mini", "/v1"),  # the one that a proxy is warmed up with
    "gem": ("gemini/gemini-2.0-flash", ""),
    "text": ("text-completion-openai/gpt-3.5-turbo-instruct", "/v1"),
}
ASKED = ("openai", "hosted_vllm", "anthropic", "gemini")
KINDS = ("status", "first", "mid", "plain")


class Cell(NamedTuple):
    route: Route
    kind: str

    def script(self, run: str, group: int) -> Script:
        status = STATUSES[group % len(STATUSES)]
        if self.kind in ("status", "plain"):
            return Script(run, status=status, says=group)
        return Script(run, error_step=0 if self.kind == "first" else 3, error_status=status, says=group)

    def __str__(self) -> str:
        return f"{self.route}-{self.route.model}-{self.kind}"


def cells(version: Version) -> list[Cell]:
    routes = [
        dataclasses.replace(ROUTES[name], model=model) for name in ("chat", "messages", "responses") for model in ASKED
    ]
    routes += [ROUTES["text"], *([ROUTES["genai"]] if version.hooks_genai else [])]
    return [Cell(route, kind) for route in routes for kind in KINDS]


@pytest.fixture
def many(proxies: Proxies, setup: Setup) -> Proxy:
    models = [
        {
            "model_name": name,
            "litellm_params": {"model": model, "api_base": f"{setup.provider}{path}", "api_key": "provider-key"},
        }
        for name, (model, path) in PROVIDERS.items()
    ]
    return proxies.shared(dataclasses.replace(setup, settings=yaml.safe_dump({"model_list": models})))


# Some five hundred requests: a minute on two idle cores.
@pytest.mark.timeout(400)
async def test_no_client_reads_a_secret_in_a_providers_words(many: Proxy, call_on: Callable[[Proxy], Caller]) -> None:
    caller, key = call_on(many), fresh_key(cap=100)
    asked = [(cell, group) for cell in cells(many.setup.version) for group in range(len(GROUPS))]
    turn = asyncio.Semaphore(AT_ONCE)

    async def ask(cell: Cell, group: int) -> Answer:
        async with turn:
            return await caller.whole(
                cell.route, key, cell.script(secrets.token_hex(6), group), stream=cell.kind != "plain"
            )

    answers = await asyncio.gather(*(ask(*one) for one in asked))

    read = [
        (cell, sentence, _read(answer))
        for (cell, group), answer in zip(asked, answers, strict=True)
        for sentence in GROUPS[group]
    ]
    shown = [(cell, one) for cell, one, text in read if any(secret in text for secret in one.hides)]
    print(f"{many.setup}: {len(shown)} of {len(read)} are read, in {len({str(cell) for cell, _ in shown})} cells")
    assert not shown, f"{len(shown)} of {len(read)}: {[(str(cell), one.says) for cell, one in shown[:20]]}"
    told = [(cell, one, text) for cell, one, text in read if _has_providers_words(one, text)]
    lost = [(str(cell), kept, text) for cell, one, text in told for kept in one.keeps if kept not in text]
    assert not lost, f"{len(lost)} of {len(told)}: {lost[:20]}"
    assert len(told) > len(read) / 4, "hardly any error has its provider's words"
    lines = [line for line in many.text().splitlines() if "cancel_guard: " in line]
    assert not [line for line in lines for _, one, _ in read for secret in one.hides if secret in line]


def _has_providers_words(sentence: Sentence, text: str) -> bool:
    """LiteLLM has none of them in some answers: `Client error '429 Too Many Requests' for url …`."""
    group = next(group for group in GROUPS if sentence in group)
    return any(kept in text for one in group for kept in one.keeps if len(kept) > 12)


def _read(answer: Answer) -> str:
    """All that a client has of an answer, as it is once its JSON is read."""
    text = answer.text
    for escaped, plain in (("\\\\", "\\"), ('\\"', '"'), ("\\n", "\n")):
        text = text.replace(escaped, plain)
    return "\n".join((text, answer.text, *answer.headers.values()))
