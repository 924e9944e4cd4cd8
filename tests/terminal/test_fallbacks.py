"""A fallback that answers is never thrown away: what LiteLLM alone serves whole is served whole, and the same."""

from __future__ import annotations

import asyncio
import dataclasses
import difflib
import secrets
from typing import TYPE_CHECKING, NamedTuple

import httpx
import pytest

from tests.harness.keys import fresh_key
from tests.harness.provider.script import word
from tests.terminal import fallbacks
from tests.terminal.test_healthy import without_ids

if TYPE_CHECKING:
    from tests.harness.config import Setup
    from tests.harness.provider.handle import Provider
    from tests.harness.proxy import Proxies, Proxy
    from tests.terminal.fallbacks import Way

pytestmark = pytest.mark.thorough

AT_ONCE = 8
LAST_WORD = word(fallbacks.CHUNKS - 1).strip()


class Answer(NamedTuple):
    status: int
    text: str

    def is_whole(self, way: Way) -> bool:
        """Whether the answer of whoever took over is there to its last word, and ends as such."""
        end = fallbacks.ROUTES[way.route].ends[0 if way.stream else 1]
        plain = self.text.replace(": ", ":")
        return self.status == 200 and LAST_WORD in plain and end in plain and '"error":{' not in plain


async def answer(client: httpx.AsyncClient, proxy: Proxy, way: Way) -> Answer:
    route = fallbacks.ROUTES[way.route]
    body = {"model": way.model, **route.body(way.scripts(secrets.token_hex(6)))}
    if way.stream and way.route != "genai":
        body["stream"] = True
    secret = fresh_key(cap=4).secret
    headers = {"Authorization": f"Bearer {secret}", "x-goog-api-key": secret, "anthropic-version": "2023-06-01"}
    url = f"{proxy.url}{route.path(way.model, way.stream)}"
    try:
        said = await client.post(url, json=body, headers=headers)
    except httpx.HTTPError as error:
        return Answer(0, type(error).__name__)
    return Answer(said.status_code, without_ids(said.text))


def difference(way: Way, bare: Answer, guarded: Answer) -> str:
    lines = difflib.unified_diff(bare.text.splitlines(), guarded.text.splitlines(), "bare", "guarded", n=0, lineterm="")
    return "\n".join((f"{way}: {bare.status} -> {guarded.status}", *(line[:300] for line in lines)))


@pytest.mark.timeout(240)
@pytest.mark.parametrize("route", fallbacks.ROUTES)
async def test_an_answer_that_litellm_alone_serves_whole_is_served_whole(
    proxies: Proxies, failing: Setup, provider: Provider, route: str
) -> None:
    setups = [
        dataclasses.replace(failing, settings=fallbacks.settings(provider.url), guarded=state)
        for state in (False, True)
    ]
    bare, guarded = (proxies.shared(setup) for setup in setups)
    turn, asked = asyncio.Semaphore(1 if failing.version.mixes_streams else AT_ONCE), list(fallbacks.ways(route))

    async def both(client: httpx.AsyncClient, way: Way) -> tuple[Answer, Answer]:
        async with turn:
            alone = await answer(client, bare, way)
            return alone, await answer(client, guarded, way)

    async with httpx.AsyncClient(timeout=30, trust_env=False) as client:
        answers = await asyncio.gather(*(both(client, way) for way in asked))

    served = [(way, *pair) for way, pair in zip(asked, answers, strict=True) if pair[0].is_whole(way)]
    assert served, "LiteLLM alone has served nothing: this test can't tell anything"
    differing = [difference(*one) for one in served if one[1] != one[2]]
    assert not differing, "\n".join(differing)
