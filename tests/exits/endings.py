"""The ways a request can end, each checked to have ended that way: a cell that can't end so must not pass."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from tests.harness.clients import Caller
from tests.harness.keys import Key
from tests.harness.routes import Route

if TYPE_CHECKING:
    from tests.harness.clients import Answer

Ending = Callable[[Caller, Route, Key], Awaitable[None]]


async def complete(caller: Caller, route: Route, key: Key) -> None:
    answer = await caller.streamed(route, key)
    assert answer.ended_well(route), f"{answer}: {answer.text}"


async def cancel_mid(caller: Caller, route: Route, key: Key) -> None:
    await caller.hang_up_mid(route, key)


async def cancel_before_first(caller: Caller, route: Route, key: Key) -> None:
    await caller.hang_up_before_first(route, key)


async def plain(caller: Caller, route: Route, key: Key) -> None:
    answer = await caller.plain(route, key)
    assert answer.status == 200, answer.text


async def nonstream_cancel(caller: Caller, route: Route, key: Key) -> None:
    await caller.hang_up_before_first(route, key, stream=False)


async def http500(caller: Caller, route: Route, key: Key) -> None:
    await _refused_by_provider(caller, route, key, 500)


async def http429(caller: Caller, route: Route, key: Key) -> None:
    await _refused_by_provider(caller, route, key, 429)


async def mid429(caller: Caller, route: Route, key: Key) -> None:
    script = replace(caller.script(), error_step=2)
    _cut_short(await caller.streamed(route, key, script))


async def midreset(caller: Caller, route: Route, key: Key) -> None:
    # With no gap the reset overtakes the last chunk: aiohttp drops what it has received and not yet handed on.
    script = replace(caller.script(), break_step=2, gap=0.05)
    _cut_short(await caller.streamed(route, key, script))


async def reset_before_first(caller: Caller, route: Route, key: Key) -> None:
    script = replace(caller.script(), break_step=0)
    answer = await caller.streamed(route, key, script)
    counts = await caller.provider.counts(script.run)
    assert ("word0" in answer.text, counts.total) == (False, 1), f"{answer}: {answer.text}"


async def _refused_by_provider(caller: Caller, route: Route, key: Key, status: int) -> None:
    script = replace(caller.script(), status=status)
    answer = await caller.streamed(route, key, script)
    counts = await caller.provider.counts(script.run)
    # Some routes answer 500 for a provider's 429; that the provider was asked tells it from a limiter's refusal.
    assert (answer.status >= 400, counts.total) == (True, 1), f"{answer}: {answer.text}"


def _cut_short(answer: Answer) -> None:
    assert answer.status == 200, answer.text
    assert ("word1" in answer.text, "word2" in answer.text) == (True, False), f"{answer}: {answer.text}"


ENDINGS: dict[str, Ending] = {
    "complete": complete,
    "cancel_mid": cancel_mid,
    "cancel_before_first": cancel_before_first,
    "plain": plain,
    "nonstream_cancel": nonstream_cancel,
    "http500": http500,
    "http429": http429,
    "mid429": mid429,
    "midreset": midreset,
    "reset_before_first": reset_before_first,
}
