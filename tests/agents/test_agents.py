"""Real coding agents at the guarded proxy: what becomes of their turn when the provider fails, or their key is full."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tests.agents.agents import CLAUDE, CODEX
from tests.agents.bridge import OUT_OF_TIME, Refusals
from tests.agents.cases import CASES, OWN_RULES, End, Rule
from tests.agents.play import SECONDS
from tests.harness.keys import fresh_key
from tests.harness.provider.script import words
from tests.harness.witness import gauge, settled

if TYPE_CHECKING:
    from tests.agents.agents import Agent
    from tests.agents.cases import Case
    from tests.agents.conftest import Ask
    from tests.agents.play import Ran
    from tests.harness.clients import Caller
    from tests.harness.keys import Key
    from tests.harness.redis_server import RedisServer

pytestmark = [pytest.mark.agents, pytest.mark.timeout(3 * SECONDS)]
WORDS = words(4).split()
# Seconds, from the first refusal on.
HELD = 5


def end(agent: Ran, words: str = "") -> End | str:
    """How it ended; in words where it is neither a whole answer nor a failure that says *words*."""
    said = agent.said.split()
    if agent.code == 0 and said[-len(WORDS) :] == WORDS:
        return End.WHOLE if said == WORDS else End.BEHIND
    if agent.code == 0:
        return f"not the whole answer: {agent}"
    if agent.code == OUT_OF_TIME:
        return End.TRYING
    return End.FAILED if words and words in agent.said + agent.beside else f"a failure in other words: {agent}"


@pytest.mark.parametrize("case", CASES, ids=str)
async def test_a_turn_ends_whole_or_in_words_and_leaves_no_slot(
    agent: Agent, case: Case, *, ask: Ask, caller: Caller, key: Key, redis_server: RedisServer
) -> None:
    script = replace(caller.script(), **case.does)
    wanted, _, own = OWN_RULES.get((agent, case), Rule(case.end, ""))
    ended = end(await ask(agent, key, script), own or case.words)
    left = await settled(lambda: gauge(redis_server.client, key), 0)
    assert (ended, left) == (wanted, 0)
    # A failure that reached nobody would prove nothing.
    tries = 2 if script.fail_first and wanted is not End.FAILED else 1
    assert (await caller.provider.counts(script.run)).total >= tries


@pytest.mark.parametrize("agent", [CLAUDE, CODEX], ids=str)
async def test_who_finds_its_key_full_asks_again_until_it_has_its_answer(
    agent: Agent, ask: Ask, caller: Caller, redis_server: RedisServer
) -> None:
    one, refusals = fresh_key(cap=1), Refusals()
    async with caller.holding(one, 1):
        asking = asyncio.create_task(ask(agent, one, caller.script(), refusals))
        await asyncio.wait_for(refusals.first.wait(), SECONDS)
        await asyncio.sleep(HELD)
    assert end(await asking) is End.WHOLE
    assert await settled(lambda: gauge(redis_server.client, one), 0) == 0


@pytest.mark.parametrize("agent", [CLAUDE], ids=str)
async def test_eight_at_once_on_a_key_of_two_stand_in_line_and_none_is_refused(
    agent: Agent, ask: Ask, caller: Caller, redis_server: RedisServer
) -> None:
    one, script, refusals = fresh_key(cap=2, wait=SECONDS), replace(caller.script(), delay=2.0), Refusals()
    each = await asyncio.gather(*(ask(agent, one, script, refusals) for _ in range(8)))
    counts = await caller.provider.counts(script.run)
    assert [end(asked) for asked in each] == [End.WHOLE] * 8
    assert (counts.total, refusals.count) == (8, 0)
    # The provider is done with one a moment after its last byte has been read: not for as long as a request takes.
    assert counts.longest.get("3", 0) < 0.5
    assert await settled(lambda: gauge(redis_server.client, one), 0) == 0
