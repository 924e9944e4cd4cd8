"""The ways a request can end, each checked to have ended that way: a cell that can't end so must not pass."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from tests.harness.clients import Caller
from tests.harness.keys import Key
from tests.harness.routes import Route

if TYPE_CHECKING:
    from tests.harness.clients import Answer

# Of LiteLLM with its provider, in seconds: the next where the one before was over too soon.
TIMEOUTS = ("0.4", "2", "8")

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
    assert answer.status == 200, f"{answer}: {answer.text}"


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
    # The reset waits for the chunks before it: aiohttp drops what it has received and not yet handed on.
    script = replace(caller.script(), stall="2", break_step=2)
    async with caller.opened(route, key, script) as stream:
        await stream.read_chunks(2)
        await caller.provider.release(script.run)
        await stream.read_rest()
    assert (stream.status, "word2" in stream.text) == (200, False), stream.text


async def reset_before_first(caller: Caller, route: Route, key: Key) -> None:
    script = replace(caller.script(), break_step=0)
    answer = await caller.streamed(route, key, script)
    counts = await caller.provider.counts(script.run)
    assert ("word0" in answer.text, counts.total) == (False, 1), f"{answer}: {answer.text}"


async def http500_plain(caller: Caller, route: Route, key: Key) -> None:
    await _refused_by_provider(caller, route, key, 500, stream=False)


async def http429_plain(caller: Caller, route: Route, key: Key) -> None:
    await _refused_by_provider(caller, route, key, 429, stream=False)


async def tool_error(caller: Caller, route: Route, key: Key) -> None:
    """The tool ran, and says that it failed."""
    script = replace(caller.script(), error_step=0)
    answer = await caller.plain(route, key, script)
    counts = await caller.provider.counts(script.run)
    assert (answer.status, counts.answered) == (500, 1), f"{answer}: {answer.text}"


async def reset_plain(caller: Caller, route: Route, key: Key) -> None:
    """The connection is reset in the place of an answer."""
    script = replace(caller.script(), break_step=0)
    answer = await caller.plain(route, key, script)
    counts = await caller.provider.counts(script.run)
    assert (answer.status >= 400, counts.total > 0) == (True, True), f"{answer}: {answer.text}"


async def timeout(caller: Caller, route: Route, key: Key) -> None:
    """LiteLLM gives up on a provider that does not answer."""
    script = replace(caller.script(), stall="headers")
    for seconds in TIMEOUTS:
        impatient = replace(route, headers=(*route.headers, ("x-litellm-timeout", seconds)))
        answer = await caller.whole(impatient, key, script, stream=route.streams)
        assert answer.status >= 400, f"{answer}: {answer.text}"
        # On a busy machine it may have given up before the provider had been asked: another ending than this one.
        if (await caller.provider.counts(script.run)).total:
            break
    await caller.provider.wait(script.run, hung_up=1)


async def refused(caller: Caller, route: Route, key: Key) -> None:
    """By the limiter, because the cap is reached."""
    assert key.cap is not None
    script = caller.script()
    async with caller.holding(key, key.cap):
        answer = await caller.whole(route, key, script, stream=route.streams)
    counts = await caller.provider.counts(script.run)
    assert (answer.status, counts.total) == (429, 0), f"{answer}: {answer.text}"


async def guardrail_before(caller: Caller, route: Route, key: Key) -> None:
    await _refused_by_proxy(caller, route, key, "before")


async def guardrail_after(caller: Caller, route: Route, key: Key) -> None:
    await _refused_by_proxy(caller, route, key, "after")


async def guardrail_fault(caller: Caller, route: Route, key: Key) -> None:
    """A guardrail after the limiter that raises what is not an HTTPException: LiteLLM logs no failure event for it."""
    await _refused_by_proxy(caller, route, key, "after_fault")


async def guardrail_during(caller: Caller, route: Route, key: Key) -> None:
    script = replace(caller.script(), proxy="during")
    answer = await caller.whole(route, key, script, stream=route.streams)
    assert answer.status >= 400, f"{answer}: {answer.text}"


async def guardrail_answer(caller: Caller, route: Route, key: Key) -> None:
    script = replace(caller.script(), proxy="answer")
    answer = await caller.plain(route, key, script)
    counts = await caller.provider.counts(script.run)
    assert (answer.status >= 400, counts.answered) == (True, 1), f"{answer}: {answer.text}"


async def guardrail_stream(caller: Caller, route: Route, key: Key) -> None:
    """Refused when the whole stream has been seen, and sent."""
    script = replace(caller.script(), proxy="answer")
    answer = await caller.streamed(route, key, script)
    assert answer.status == 200, f"{answer}: {answer.text}"
    assert f"guardrail answer refuses run {script.run}" in caller.proxy.text(), f"{answer}: {answer.text}"


async def cancelled_in_redis(caller: Caller, route: Route, key: Key) -> None:
    """The request's task is cancelled while the limiter waits for Redis' answer."""
    script = replace(caller.script(), proxy="cancel_in_redis")
    answer = await caller.whole(route, key, script, stream=route.streams)
    counts = await caller.provider.counts(script.run)
    assert (answer.status >= 400, counts.total) == (True, 0), f"{answer}: {answer.text}"


async def cached(caller: Caller, route: Route, key: Key) -> None:
    """Asked until the provider is no longer: LiteLLM writes its cache some time after the answer."""
    script = caller.script()
    asking = replace(route, build=lambda model, text: {**route.build(model, text), "cache": {"use-cache": True}})
    for _ in range(20):
        before = (await caller.provider.counts(script.run)).total
        answer = await caller.plain(asking, key, script)
        assert answer.status == 200, f"{answer}: {answer.text}"
        if (await caller.provider.counts(script.run)).total == before:
            return
        await asyncio.sleep(0.05)
    raise AssertionError("LiteLLM did not answer from its cache")


async def fell_back(caller: Caller, route: Route, key: Key) -> None:
    """The first model's provider fails, and the second's answers."""
    script = replace(caller.script(), only="first-choice", status=500)
    for stream in (True, False):
        answer = await caller.whole(route, key, script, stream=stream)
        assert answer.status == 200, f"{answer}: {answer.text}"
    counts = await caller.provider.counts(script.run)
    assert counts.total == 2, counts


async def tool_called(caller: Caller, route: Route, key: Key) -> None:
    """The model asks for a tool, LiteLLM calls it, and the model is asked again."""
    await _with_a_tool(caller, route, key, "")


async def tool_failed(caller: Caller, route: Route, key: Key) -> None:
    """The same with a tool that fails; the model is told so."""
    await _with_a_tool(caller, route, key, "error_step=0")


async def _with_a_tool(caller: Caller, route: Route, key: Key, tool: str) -> None:
    script = replace(caller.script(), shape="calls_tool")
    run = script.run
    asking = replace(route, build=lambda model, text: route.build(model, tools_script(run, tool, "") + text))
    for stream in (True, False):
        answer = await caller.whole(asking, key, script, stream=stream)
        assert (answer.status, "word3" in answer.text) == (200, True), f"{answer}: {answer.text}"
    counts = await caller.provider.counts(run)
    assert (counts.total >= 6, counts.peak) == (True, 1), counts


def tools_script(run: str, tool: str, follow_up: str) -> str:
    """What the tool and the second answer shall do."""
    return f"[[run={run} only=tool {tool}]][[run={run} only=follow-up {follow_up}]]"


async def _refused_by_proxy(caller: Caller, route: Route, key: Key, when: str) -> None:
    script = replace(caller.script(), proxy=when)
    answer = await caller.whole(route, key, script, stream=route.streams)
    counts = await caller.provider.counts(script.run)
    assert (answer.status >= 400, counts.total) == (True, 0), f"{answer}: {answer.text}"


async def _refused_by_provider(caller: Caller, route: Route, key: Key, status: int, *, stream: bool = True) -> None:
    script = replace(caller.script(), status=status)
    answer = await caller.whole(route, key, script, stream=stream)
    counts = await caller.provider.counts(script.run)
    # Some routes answer 500 for a provider's 429; that the provider was asked tells it from a limiter's refusal.
    assert (answer.status >= 400, counts.total > 0) == (True, True), f"{answer}: {answer.text}"


def _cut_short(answer: Answer) -> None:
    assert answer.status == 200, f"{answer}: {answer.text}"
    assert ("word1" in answer.text, "word2" in answer.text) == (True, False), f"{answer}: {answer.text}"


ENDINGS: dict[str, Ending] = {
    play.__name__: play
    for play in (
        complete,
        plain,
        cancel_mid,
        cancel_before_first,
        nonstream_cancel,
        mid429,
        midreset,
        reset_before_first,
        http429,
        http500,
        http429_plain,
        http500_plain,
        tool_error,
        tool_called,
        tool_failed,
        reset_plain,
        timeout,
        refused,
        guardrail_before,
        guardrail_after,
        guardrail_fault,
        guardrail_during,
        guardrail_answer,
        guardrail_stream,
        cancelled_in_redis,
        cached,
        fell_back,
    )
}
