"""Find LiteLLM's limiter and tell its shape by what it can do, not by its version."""

from __future__ import annotations

import inspect
import sys
from dataclasses import dataclass
from typing import Any, Literal

from litellm_cancel_guard.host import facts
from litellm_cancel_guard.host.setup_files import LiteLLM

Shape = Literal["counting", "slots"]

_NOT_THERE: Any = object()


class UnknownLimiterError(Exception):
    """LiteLLM's limiter has a shape that no adapter fits; the message says which and what the guard leaves undone."""


@dataclass(frozen=True, slots=True)
class Recognised:
    """A limiter that an adapter fits.

    Attributes:
        limiter: LiteLLM's own object.
        shape: which adapter.
        redis_cache: LiteLLM's Redis cache, or None where it counts in the process.
        window_seconds: LiteLLM's rate limit window.
        horizon_seconds: age at which the slot limiter prunes a slot; 0 for the counting limiter.
        namespaced: whether the limiter's scripts put the namespace before their keys.
    """

    limiter: Any
    shape: Shape
    redis_cache: Any
    window_seconds: int
    horizon_seconds: int
    namespaced: bool


def litellm_version() -> str:
    """Return the version of the installed LiteLLM, or ``unknown``."""
    return LiteLLM.installed().version or "unknown"


def find_limiter() -> Any:
    """Return the running proxy's limiter (F1), or None where there is no proxy or it has none.

    Raises:
        UnknownLimiterError: LiteLLM hands it out in another way.
    """
    server = sys.modules.get("litellm.proxy.proxy_server")
    logging_obj = getattr(server, "proxy_logging_obj", None)
    if logging_obj is None:
        return None
    try:
        return logging_obj.get_proxy_hook(facts.LIMITER_HOOK)
    except Exception as fault:
        raise UnknownLimiterError(
            f"LiteLLM {litellm_version()} does not hand out its limiter: {type(fault).__name__} from get_proxy_hook"
        ) from fault


def recognise(limiter: Any) -> Recognised:
    """Tell which adapter fits *limiter*.

    Raises:
        UnknownLimiterError: none does.
    """
    litellm = LiteLLM.installed()
    if litellm.too_old:
        raise UnknownLimiterError(
            f"LiteLLM {litellm.version} is older than 1.80, the oldest that the guard knows: upgrade it"
        )
    parameters = _parameters(getattr(limiter, "should_rate_limit", None))
    cache = getattr(getattr(limiter, "internal_usage_cache", None), "dual_cache", None)
    if "descriptors" not in parameters or cache is None:
        raise UnknownLimiterError(
            f"the limiter of LiteLLM {litellm_version()} ({type(limiter).__name__}) is of a shape that this version of "
            "the guard does not know (is LEGACY_MULTI_INSTANCE_RATE_LIMITING set?)"
        )
    slots = facts.SLOT_PARAMETER in parameters
    return Recognised(
        limiter=limiter,
        shape="slots" if slots else "counting",
        redis_cache=_redis_of(limiter, cache, "parallel_acquire_script" if slots else facts.SCRIPT),
        window_seconds=int(getattr(limiter, "window_size", 60)),
        horizon_seconds=_horizon(limiter) if slots else 0,
        namespaced=(litellm.release or ()) >= facts.NAMESPACED_SCRIPTS_SINCE,
    )


def _redis_of(limiter: Any, cache: Any, script: str) -> Any:
    """Return the Redis cache if that is where *limiter* counts, None where it counts in the process (F16).

    A name that is missing says nothing: 1.110 dropped the scripts' names, and taken for a LiteLLM without Redis, the
    guard counted in each process what LiteLLM counted for all of them.
    """
    says = getattr(getattr(limiter, "rate_limits", None), "has_redis", getattr(limiter, script, _NOT_THERE))
    redis_cache = getattr(cache, "redis_cache", None)
    if says is _NOT_THERE or (says and redis_cache is None):
        raise UnknownLimiterError(
            f"the limiter of LiteLLM {litellm_version()} does not tell this version of the guard whether it counts in "
            "Redis: upgrade the guard"
        )
    return redis_cache if says else None


def _parameters(method: Any) -> frozenset[str]:
    try:
        return frozenset(inspect.signature(method).parameters)
    except (TypeError, ValueError):
        return frozenset()


def _horizon(limiter: Any) -> int:
    module = sys.modules.get(type(limiter).__module__)
    ttl = getattr(module, facts.SLOT_TTL_CONSTANT, None)
    if not isinstance(ttl, int):
        raise UnknownLimiterError(
            f"the limiter of LiteLLM {litellm_version()} no longer names {facts.SLOT_TTL_CONSTANT}, "
            "so the guard cannot tell how it ages its slots"
        )
    return ttl
