"""Before the guard counts any slot it proves that LiteLLM counts the same, with a made-up key that leaves no trace."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from litellm_cancel_guard.gauge import GaugeUnavailableError
from litellm_cancel_guard.host import limiter as host
from litellm_cancel_guard.host.grafting import Board
from litellm_cancel_guard.host.grafts import GRAFTS
from litellm_cancel_guard.host.limiter.canary import Proof, Verdict, prove
from litellm_cancel_guard.host.standing import Standing
from litellm_cancel_guard.lease.graft import State
from litellm_cancel_guard.lease.records import Aside
from litellm_cancel_guard.ledger.registry import Registry
from litellm_cancel_guard.settings import Settings
from tests.limiter.conftest import new_limiter

if TYPE_CHECKING:
    from litellm_cancel_guard.host.limiter.detection import Recognised
    from tests.harness.redis_server import RedisServer


async def asked(recognised: Recognised, counted: Recognised | None = None) -> Proof:
    """Ask the canary of a limiter; the guard counts where *counted* does."""
    gauge = host.gauge_for(counted or recognised, Settings(), Aside())
    return await prove(recognised, gauge, within=5)


@pytest.fixture
def recognised(redis_server: RedisServer) -> Recognised:
    # A LiteLLM that counts under another name leaves the canary's slot there to lapse: another test's, not ours.
    for name in redis_server.client.keys("*canary*"):
        redis_server.client.delete(name)
    return host.recognise(new_limiter(redis_server.port))


async def test_it_proves_the_limiter_that_is_installed_and_leaves_no_trace(
    recognised: Recognised, redis_server: RedisServer
) -> None:
    assert await asked(recognised) == Proof(Verdict.PROVEN)
    assert redis_server.client.keys("*canary*") == []
    memory = recognised.limiter.internal_usage_cache.dual_cache.in_memory_cache.cache_dict
    assert [name for name in memory if "canary" in str(name)] == []


async def test_a_limiter_that_counts_in_another_redis_is_disproven(
    recognised: Recognised, redis_server: RedisServer
) -> None:
    elsewhere = host.recognise(new_limiter(redis_server.port, db=1))
    proof = await asked(recognised, counted=elsewhere)
    assert (proof.verdict, proof.reason) == (
        Verdict.DISPROVEN,
        "LiteLLM's slot is not where the guard looks for it",
    )
    assert redis_server.client.keys("*canary*") == []


async def test_scores_in_another_unit_are_disproven(recognised: Recognised, redis_server: RedisServer) -> None:
    admit = recognised.limiter.should_rate_limit

    async def in_milliseconds(descriptors: Any, **how: Any) -> Any:
        answer = await admit(descriptors, **how)
        name = f"{{api_key:{descriptors[0]['value']}}}:max_parallel_requests"
        held: Any = redis_server.client.zrange(name, 0, -1, withscores=True)
        if held:
            redis_server.client.zadd(name, {slot: score * 1000 for slot, score in held})
        return answer

    recognised.limiter.should_rate_limit = in_milliseconds
    proof = await asked(recognised)
    assert proof.verdict is Verdict.DISPROVEN
    assert "lapses in" in proof.reason


async def test_a_limiter_that_does_not_see_the_guards_slot_is_disproven(recognised: Recognised) -> None:
    admit = recognised.limiter.should_rate_limit

    async def blind(descriptors: Any, **how: Any) -> Any:
        return {"overall_code": "OK", "statuses": []} if how.get("read_only") else await admit(descriptors, **how)

    recognised.limiter.should_rate_limit = blind
    assert await asked(recognised) == Proof(Verdict.DISPROVEN, "LiteLLM does not count the guard's slot")


async def test_a_limiter_that_raises_is_disproven_and_raises_nothing_here(recognised: Recognised) -> None:
    async def broken(**_: Any) -> Any:
        raise TypeError("one argument more")

    recognised.limiter.should_rate_limit = broken
    assert (await asked(recognised)).reason == "LiteLLM's limiter raised TypeError for a made-up key"


class Away:
    """A gauge whose Redis does not answer."""

    async def count(self, gauge: str) -> int:
        raise GaugeUnavailableError("no answer")

    async def forget(self, gauge: str) -> None:
        raise ConnectionError("no answer")


async def test_a_redis_that_is_away_decides_nothing_and_litellm_is_not_asked(recognised: Recognised) -> None:
    recognised.limiter.should_rate_limit = None
    assert await prove(recognised, Away(), within=5) == Proof(Verdict.UNDECIDED, "no answer")


async def test_without_redis_there_is_nothing_to_prove() -> None:
    assert await asked(host.recognise(new_limiter())) == Proof(Verdict.PROVEN)


async def test_a_limiter_that_no_longer_says_where_it_counts_is_not_taken_for_one_without_redis(
    recognised: Recognised,
) -> None:
    limiter = recognised.limiter
    for name in ("parallel_acquire_script", "rate_limits", "batch_rate_limiter_script"):
        vars(limiter).pop(name, None)
    with pytest.raises(host.UnknownLimiterError, match="whether it counts in Redis"):
        host.recognise(limiter)


class Standings:
    """A standing whose canary says what the test tells it."""

    def __init__(self) -> None:
        self.board = Board(GRAFTS)
        self.registry = Registry()
        self.standing = Standing(self.board, self.registry)
        self.proof = Proof(Verdict.PROVEN)
        self.asked = 0
        self.standing.attach(self._put_in, self._canary)

    def _put_in(self, _: list[Any]) -> None:
        for status in self.board.group("slots"):
            self.board.note(status.graft.name, State.IN_FORCE)

    async def _canary(self) -> Proof:
        self.asked += 1
        await asyncio.sleep(0)
        return self.proof


async def test_the_first_requests_wait_together_for_one_look() -> None:
    a = Standings()
    await asyncio.gather(*(a.standing.decided() for _ in range(20)))
    assert (a.asked, a.standing.counts) == (1, True)


async def test_disproven_no_request_is_counted_and_each_graft_says_why() -> None:
    a = Standings()
    a.proof = Proof(Verdict.DISPROVEN, "it counts elsewhere")
    await a.standing.decided()
    assert not a.standing.counts
    assert {(status.state, status.reason) for status in a.board.group("slots")} == {
        (State.STANDS_ASIDE, "it counts elsewhere")
    }


async def test_undecided_it_is_in_force_as_on_redis_error_says() -> None:
    a = Standings()
    a.proof = Proof(Verdict.UNDECIDED, "Redis is away")
    await a.standing.decided()
    assert a.standing.counts


async def test_it_comes_back_when_a_later_look_proves_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("litellm_cancel_guard.host.standing._DISPROVEN_SECONDS", 0.0)
    a = Standings()
    a.proof = Proof(Verdict.DISPROVEN, "a failover")
    await a.standing.decided()
    a.proof = Proof(Verdict.PROVEN)
    with anyio.fail_after(5):
        while not a.standing.counts:  # noqa: ASYNC110 - the look is a timer's
            await asyncio.sleep(0)
    assert a.board.of("slots.seam").state is State.IN_FORCE
    assert replace(a.proof).reason == ""
