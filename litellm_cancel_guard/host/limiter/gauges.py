"""Which gauge a recognised limiter's slots are counted in: where LiteLLM itself counts them."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from litellm_cancel_guard.host import facts
from litellm_cancel_guard.host.limiter.detection import litellm_version
from litellm_cancel_guard.host.setup_files import LiteLLM

if TYPE_CHECKING:
    from collections.abc import Callable

    from litellm_cancel_guard.gauge import Gauge
    from litellm_cancel_guard.gauge.layout import Layout
    from litellm_cancel_guard.gauge.local_survey import LocalSurvey
    from litellm_cancel_guard.gauge.notice import Notice
    from litellm_cancel_guard.gauge.survey import Survey
    from litellm_cancel_guard.host.limiter.detection import Recognised
    from litellm_cancel_guard.lease.holders import Holding
    from litellm_cancel_guard.lease.records import Aside, Record
    from litellm_cancel_guard.settings import Settings


# LiteLLM forgets a client after an hour and makes another; this much longer the guard may go on with the one before.
_LOOKED_UP_SECONDS = 1.0


def gauge_for(recognised: Recognised, settings: Settings, aside: Aside) -> Gauge:
    """Return the gauge for *recognised*: in LiteLLM's Redis, by its own client, or in this process."""
    if recognised.redis_cache is None:
        from litellm_cancel_guard.gauge.local import LocalGauge

        return LocalGauge()
    from litellm_cancel_guard.gauge.redis import RedisGauge

    return RedisGauge(
        LookedUp(recognised.redis_cache.init_async_client),
        _layout(recognised),
        lease_seconds=settings.lease_seconds,
        timeout_seconds=settings.redis_timeout,
        aside=aside,
        another=partial(_another_client, recognised.redis_cache),
    )


def _another_client(cache: Any) -> Any:
    """Return a client as LiteLLM makes its own of each event loop (F18), which LiteLLM does not know of."""
    from litellm import _redis

    pool = _redis.get_redis_connection_pool(**cache.redis_kwargs)
    return _redis.get_redis_async_client(connection_pool=pool, **cache.redis_kwargs)


class LookedUp:
    """LiteLLM's Redis client of the running event loop, looked up once a second.

    LiteLLM makes a JSON text of all its Redis settings to find it (1.80 - 1.109, caching/redis_cache.py
    `_get_async_client_cache_key`): a hundredth of what it spends on a whole request.
    """

    def __init__(self, look_up: Callable[[], Any]) -> None:
        self._look_up = look_up
        self._loop: asyncio.AbstractEventLoop | None = None
        self._client: Any = None
        self._until = 0.0

    def __call__(self) -> Any:
        """Return the client; raise what LiteLLM raises."""
        loop, now = asyncio.get_running_loop(), time.monotonic()
        if loop is not self._loop or now >= self._until:
            self._client = self._look_up()
            self._loop, self._until = loop, now + _LOOKED_UP_SECONDS
        return self._client


def survey_of(
    recognised: Recognised, gauge: Any, record: Callable[[], Record], holding: Callable[[], Holding | None]
) -> Survey | LocalSurvey:
    """Return what an operator may look at and do by hand where *gauge* counts, for *recognised*."""
    from litellm_cancel_guard.gauge.local_survey import LocalSurvey
    from litellm_cancel_guard.gauge.survey import Survey

    cache = recognised.redis_cache
    if cache is None:
        return LocalSurvey(gauge, record, holding)
    namespace = getattr(cache, "namespace", None) or ""
    return Survey(cache.init_async_client(), namespace=namespace, window_seconds=recognised.window_seconds)


def kind_of(recognised: Recognised) -> str:
    """Return which limiter it is, and where it counts: of a few words, for a label."""
    return f"{recognised.shape}, {'in the process' if recognised.redis_cache is None else 'in Redis'}"


def notice_for(limiter: Any, timeout: Callable[[], float]) -> Notice | None:
    """Return where this worker says that it is there, whatever the shape of *limiter*; None where it has no Redis."""
    from litellm_cancel_guard.gauge.notice import Notice

    cache = getattr(getattr(getattr(limiter, "internal_usage_cache", None), "dual_cache", None), "redis_cache", None)
    look_up = getattr(cache, "init_async_client", None)
    if not callable(look_up):
        return None
    scripts_do = (LiteLLM.installed().release or ()) >= facts.NAMESPACED_SCRIPTS_SINCE
    return Notice(LookedUp(look_up), _namespacing(limiter, cache, scripts_do=scripts_do), timeout)


def describe(recognised: Recognised, settings: Settings) -> str:
    """Return the line that says what the guard has attached itself to."""
    where = "in process" if recognised.redis_cache is None else "in Redis"
    return (
        f"guards the {recognised.shape} limiter of LiteLLM {litellm_version()}, slots {where}, "
        f"lease {settings.lease_seconds:g} s"
    )


def _layout(recognised: Recognised) -> Layout:
    from litellm_cancel_guard.gauge.layout import HORIZON_SECONDS, counted_layout, slots_layout

    names = namespacing(recognised)
    slots = slots_layout(horizon_seconds=recognised.horizon_seconds or HORIZON_SECONDS, namespaced=names)
    counted = counted_layout(window_seconds=recognised.window_seconds, namespaced=names)
    return replace(slots, beyond=counted) if recognised.shape == "slots" else replace(counted, beyond=slots)


def namespacing(recognised: Recognised) -> Callable[[str], str]:
    """Return what the limiter's scripts do to their keys (F7)."""
    return _namespacing(recognised.limiter, recognised.redis_cache, scripts_do=recognised.namespaced)


def _namespacing(limiter: Any, cache: Any, *, scripts_do: bool) -> Callable[[str], str]:
    made_with = getattr(cache, "store_settings", None)
    if made_with is not None and hasattr(limiter, "rate_limits"):
        prefix = f"{made_with.namespace}:" if made_with.namespace else ""
        return lambda key: key if key.startswith(prefix) else prefix + key
    fix: Any = getattr(cache, "check_and_fix_namespace", None)
    return fix if scripts_do and fix is not None else str
