"""Proves in a running worker that the guard's slots and LiteLLM's are the same, before the guard counts any.

LiteLLM's own limiter admits a made-up key; the guard must find that slot where it will look, and LiteLLM must count the
guard's slot beside it. A release of LiteLLM that counts elsewhere, or in another shape, is found out by this and not by
keys that are refused, or by twice as many requests at the provider.
"""

from __future__ import annotations

import asyncio
import inspect
import sys
import uuid
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any

from litellm_cancel_guard.gauge import GaugeCorruptError, GaugeUnavailableError
from litellm_cancel_guard.host import facts
from litellm_cancel_guard.host.limiter.gauges import namespacing
from litellm_cancel_guard.lease.lease import Lease
from litellm_cancel_guard.redaction.records import log

if TYPE_CHECKING:
    from collections.abc import Callable

    from litellm_cancel_guard.host.limiter.detection import Recognised


# A slot of LiteLLM's that is just begun lapses a horizon from now, but for clocks that differ.
_CLOCKS_DIFFER_SECONDS = 300.0
_LOOKS, _BETWEEN_LOOKS_SECONDS = 3, 0.2


class Verdict(str, Enum):
    """What the canary has found out."""

    PROVEN = "proven"
    DISPROVEN = "disproven"
    UNDECIDED = "undecided"


@dataclass(frozen=True)
class Proof:
    """The verdict, and why it is not ``proven``."""

    verdict: Verdict
    reason: str = ""


class _DisprovenError(Exception):
    """It was looked, and it was not so."""


async def prove(recognised: Recognised, gauge: Any, *, within: float) -> Proof:
    """Return whether *gauge* and LiteLLM's limiter count the same slots; nothing is left behind, and nothing raised.

    Where LiteLLM counts in the process there is nothing that could be looked at. A Redis that is away decides nothing:
    an outage at a worker's start must not cost it its guard.

    Args:
        recognised: the limiter.
        gauge: the guard's, for it.
        within: seconds that each of three looks may take.
    """
    if recognised.redis_cache is None:
        return Proof(Verdict.PROVEN)
    if not _hands_out_a_client(recognised.redis_cache):
        return Proof(Verdict.DISPROVEN, "LiteLLM hands out no Redis client where the guard asks for one")
    if not _names_its_keys(namespacing(recognised)):
        return Proof(Verdict.DISPROVEN, "LiteLLM does not tell what its scripts make of the names of keys")
    proof = Proof(Verdict.UNDECIDED, "not asked")
    for look in range(_LOOKS):
        if look:
            await asyncio.sleep(_BETWEEN_LOOKS_SECONDS)
        proof = await _look(_Canary(recognised, gauge), within)
        # Once more: between the two masters of a failover LiteLLM may write to one and the guard read the other.
        if proof.verdict is not Verdict.DISPROVEN:
            break
    return proof


def _hands_out_a_client(redis_cache: Any) -> bool:
    """Tell whether there is a client at all, which is no question of an outage: making one asks Redis nothing.

    Taken for an outage, the guard would count in each process what LiteLLM counts for all of them.
    """
    try:
        client = redis_cache.init_async_client()
    except Exception as fault:
        return isinstance(fault, OSError) or type(fault).__module__.partition(".")[0] == "redis"
    if inspect.iscoroutine(client):
        client.close()
    return callable(getattr(client, "evalsha", None))


def _names_its_keys(namespaced: Callable[[str], Any]) -> bool:
    try:
        name = namespaced(facts.CAPPED_DESCRIPTOR)
    except Exception:
        return False
    if inspect.iscoroutine(name):
        name.close()
    return isinstance(name, str)


async def _look(canary: _Canary, within: float) -> Proof:
    try:
        await asyncio.wait_for(canary.fly(), within)
    except (GaugeCorruptError, _DisprovenError) as seen:
        return Proof(Verdict.DISPROVEN, str(seen))
    except (GaugeUnavailableError, asyncio.TimeoutError) as away:
        return Proof(Verdict.UNDECIDED, str(away) or "no answer in time")
    except Exception as fault:
        return Proof(Verdict.DISPROVEN, f"LiteLLM's limiter raised {type(fault).__name__} for a made-up key")
    else:
        return Proof(Verdict.PROVEN)
    finally:
        await canary.leave_nothing()


class _Canary:
    """A made-up key, whose name tells what it is; under LiteLLM's own prefix, so that an ACL lets it pass."""

    def __init__(self, recognised: Recognised, gauge: Any) -> None:
        self._limiter = recognised.limiter
        self._slots = recognised.shape == "slots"
        self._horizon = recognised.horizon_seconds
        self._gauge = gauge
        self._name = f"cancel-guard-canary-{uuid.uuid4().hex}"
        self._place = f"{facts.CAPPED_DESCRIPTOR}:{self._name}"
        self._lease = Lease(self._place)
        self._litellms = Lease(self._place, uuid.uuid4().hex)
        self._asked = False

    async def fly(self) -> None:
        """Raise what was seen where it is not as it should be."""
        await self._gauge.count(self._place)
        asked = {facts.SLOT_PARAMETER: self._litellms.id} if self._slots else {}
        if (await self._ask(2, **asked))["overall_code"] == facts.OVER_LIMIT:
            raise _DisprovenError("LiteLLM refuses a key that holds no slot")
        if self._slots:
            self._see(await self._gauge.slots(self._place))
        admission = await self._gauge.acquire(self._lease, 3)
        if not admission.admitted or admission.in_flight != 2:  # noqa: PLR2004 - LiteLLM's and the guard's
            raise _DisprovenError(f"LiteLLM's slot is not where the guard counts ({admission.in_flight} of 2 seen)")
        # Up to 1.93 a look changes nothing and sees no cap: asked in earnest, it is the third of two.
        look = {"read_only": True} if self._slots else {}
        if (await self._ask(2, **look))["overall_code"] != facts.OVER_LIMIT:
            raise _DisprovenError("LiteLLM does not count the guard's slot")

    async def leave_nothing(self) -> None:
        """Take away what lies in Redis and in LiteLLM's own copy; what can't be lapses by itself."""
        for forget in (self._release, self._forget_in_redis, self._forget_in_the_process):
            try:
                await asyncio.wait_for(forget(), 1.0)
            except Exception as left:
                log.debug("cancel_guard: the canary's key is left to lapse: %s", type(left).__name__)

    def _see(self, held: list[tuple[str, float]]) -> None:
        left = dict(held).get(self._litellms.id)
        if left is None:
            raise _DisprovenError("LiteLLM's slot is not where the guard looks for it")
        if abs(left - self._horizon) > _CLOCKS_DIFFER_SECONDS:
            raise _DisprovenError(
                f"LiteLLM's slot lapses in {left:.0f} s by the guard's reading, not {self._horizon} s"
            )

    async def _ask(self, cap: int, **how: Any) -> Any:
        self._asked = True
        limits = {
            "requests_per_unit": None,
            "tokens_per_unit": None,
            facts.CAP: cap,
            facts.WINDOW: getattr(self._limiter, facts.WINDOW, 60),
        }
        descriptor = {"key": facts.CAPPED_DESCRIPTOR, "value": self._name, "rate_limit": limits}
        return await self._limiter.should_rate_limit(descriptors=[descriptor], **how)

    async def _release(self) -> None:
        """Have LiteLLM release its slot: where it counts elsewhere, nobody else finds it (F10)."""
        release = getattr(self._limiter, "_release_parallel_request_slots", None)
        if release is None or not self._asked:
            return
        gauges = (self._scope(),) if hasattr(self._limiter, "rate_limits") else ()
        keys = [f"{{{self._place}}}:{facts.CAP}"]
        await release({"slot_id": self._litellms.id, "counter_keys": keys, "gauges": gauges})

    async def _forget_in_redis(self) -> None:
        await self._gauge.forget(self._place)

    async def _forget_in_the_process(self) -> None:
        key = f"{{{self._place}}}:{facts.CAP}"
        store = getattr(self._limiter, "rate_limits", None)
        if store is None:
            cache = self._limiter.internal_usage_cache.dual_cache.in_memory_cache
            for what in (facts.CAP, "window"):
                cache.delete_cache(key.replace(facts.CAP, what))
            return
        store.set_local(self._scope().gauge, 0, 0.001)

    def _scope(self) -> Any:
        """Return the key as 1.110 names it (redis/stores/rate_limits/types.py)."""
        module: Any = sys.modules[type(self._limiter).__module__]
        return module.RateLimitScope(facts.CAPPED_DESCRIPTOR, self._name)
