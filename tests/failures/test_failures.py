"""Of what providers send when they fail nothing passes for a whole answer; and no whole answer is called failed."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import pytest

from tests.failures.play import cells, counted, play, settings
from tests.failures.provider import Sending
from tests.harness.keys import fresh_key

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.harness.config import Setup
    from tests.harness.proxy import Proxies, Proxy


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
    asked = list(cells())
    seen = await play(failing_proxy.url, fresh_key(cap=100).secret, asked)
    counts = counted(asked, seen)
    wrong = [
        f"{one.verdict(cell.kind)}: {cell}: {one.status} {one.text!r} {one.error[:160]}"
        for cell, one in zip(asked, seen, strict=True)
        if one.verdict(cell.kind) in ("silent", "false alarm")
    ]
    print(f"{failing_proxy.setup.version} {'guarded' if failing_proxy.setup.guarded else 'bare'}: {dict(counts)}")
    assert not wrong, "\n".join([str(dict(counts)), *wrong])
