"""Real coding agents at the guarded proxy: what becomes of their turn when the provider fails, or their key is full."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tests.agents.agents import CLAUDE, CODEX
from tests.agents.bridge import OUT_OF_TIME, Refusals
from tests.agents.cases import CASES, ONCE_CUT, OWN_RULES, End, Rule
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

pytestmark = [pytest.mark.agents, pytest.mark.timeout(360)]
WORDS = words(4).split()
# Seconds that an agent may take beyond its own, to wait for a slot.
WAITS = 180


def end(agent: Ran, words: str = "") -> End | str:
    """How it ended; in words where it is neither a whole answer nor a failure that says *words*."""
    said = agent.said.split()
    if agent.code == 0 and said[-len(WORDS) :] == WORDS:
        return End.WHOLE if said == WORDS else End.BEHIND
    if agent.code == OUT_OF_TIME:
        return End.TRYING
    # Lines are broken at the width of a terminal.
    if words and words in " ".join([*said, *agent.beside.split()]):
        return End.FAILED if agent.code else End.UNSIGNALLED
    return f"neither the whole answer nor the failure in its words: {agent}"


@pytest.mark.parametrize("case", CASES, ids=str)
async def test_a_turn_ends_whole_or_in_words_and_leaves_no_slot(
    agent: Agent, case: Case, *, ask: Ask, caller: Caller, key: Key, redis_server: RedisServer
) -> None:
    script = replace(caller.script(), **case.does)
    wanted, _, own = OWN_RULES.get((agent, case), Rule(case.end, ""))
    ended = end(await ask(agent, key, script), own or case.words)
    left = await settled(lambda: gauge(redis_server.client, key), 0)
    # Of words that a cut has overtaken none is left to see before the whole answer.
    overtaken = case is ONCE_CUT and wanted is End.BEHIND and caller.proxy.setup.version.loses_words_before_a_cut
    assert (ended in ((wanted, End.WHOLE) if overtaken else (wanted,)), left) == (True, 0), ended
    # A failure that reached nobody would prove nothing.
    tries = 2 if script.fail_first and wanted is not End.FAILED else 1
    assert (await caller.provider.counts(script.run)).total >= tries


async def test_who_finds_its_key_full_asks_again_until_it_has_its_answer(
    agent: Agent, ask: Ask, patient: Caller, redis_server: RedisServer
) -> None:
    await answered_behind_a_holder(agent, 5, ask, patient, redis_server)


@pytest.mark.parametrize("held", [10, 30, 60])
@pytest.mark.parametrize("agent", [CLAUDE, CODEX], ids=str)
async def test_who_is_refused_for_up_to_a_minute_has_its_answer_then(
    agent: Agent, held: int, ask: Ask, patient: Caller, redis_server: RedisServer
) -> None:
    await answered_behind_a_holder(agent, held, ask, patient, redis_server)


async def answered_behind_a_holder(
    agent: Agent, held: int, ask: Ask, patient: Caller, redis_server: RedisServer
) -> None:
    """The only slot is held for so many seconds from the agent's first refusal on."""
    one, refusals = fresh_key(cap=1), Refusals()
    async with patient.holding(one, 1) as run:
        asking = asyncio.create_task(ask(agent, one, patient.script(), refusals, WAITS))
        try:
            await refused(asking, refusals, agent.seconds)
            await asyncio.sleep(held)
            await patient.provider.release(run)
            assert end(await asking) is End.WHOLE
        finally:
            asking.cancel()
            await asyncio.wait([asking])
    assert await settled(lambda: gauge(redis_server.client, one), 0) == 0


async def refused(asking: asyncio.Task[Ran], refusals: Refusals, within: float) -> None:
    """Until the agent is refused for the first time; one that ends before that fails with what it said."""
    first = asyncio.create_task(refusals.first.wait())
    await asyncio.wait({asking, first}, timeout=within, return_when=asyncio.FIRST_COMPLETED)
    first.cancel()
    assert refusals.first.is_set(), asking.result() if asking.done() else f"not refused within {within:g} s"


@pytest.mark.parametrize("agent", [CLAUDE], ids=str)
async def test_eight_at_once_on_a_key_of_two_stand_in_line_and_none_is_refused(
    agent: Agent, ask: Ask, caller: Caller, redis_server: RedisServer
) -> None:
    one, script, refusals = fresh_key(cap=2, wait=agent.seconds), replace(caller.script(), delay=2.0), Refusals()
    each = await asyncio.gather(*(ask(agent, one, script, refusals) for _ in range(8)))
    counts = await caller.provider.counts(script.run)
    assert [end(asked) for asked in each] == [End.WHOLE] * 8
    assert (counts.total, refusals.count) == (8, 0)
    # The provider is done with one a moment after its last byte has been read: not for as long as a request takes.
    assert counts.longest.get("3", 0) < 0.5
    assert await settled(lambda: gauge(redis_server.client, one), 0) == 0
