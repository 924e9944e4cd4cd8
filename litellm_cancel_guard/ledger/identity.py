"""What this worker says of itself in its record; see `lease.records`."""

from __future__ import annotations

import os
import socket
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from litellm_cancel_guard.lease.keyname import key_of
from litellm_cancel_guard.lease.records import HASH_DIGITS, MOST_LIMITS, Record
from litellm_cancel_guard.lease.slotname import worker_name

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from litellm_cancel_guard.ledger.registry import Registry


def guard_version() -> str:
    """Return the version of the guard, also where it runs from a folder without being installed."""
    try:
        return version("litellm-cancel-guard")
    except PackageNotFoundError:
        return "(not installed)"


class Identity:
    """This worker; `record` is as of now.

    Args:
        settings: returns those in force.
        missing: returns how each graft stands that does not do what it is for.
        litellm: LiteLLM's version.
        endless: returns the deployments whose every stream ends without an end.

    Attributes:
        limiter: LiteLLM's, and where it counts.
    """

    def __init__(
        self,
        registry: Registry,
        settings: Callable[[], Any],
        missing: Callable[[], Mapping[str, str]],
        litellm: str,
        endless: Callable[[], list[str]],
    ) -> None:
        self._registry = registry
        self._settings = settings
        self._missing = missing
        self._litellm = litellm
        self._endless = endless
        self.limiter = "none that the guard knows"
        self._host = socket.gethostname()
        self._guard = guard_version()

    def record(self) -> Record:
        """Return what is to be written with this heartbeat."""
        limits, settings = self._registry.limits(MOST_LIMITS), self._settings()
        return Record(
            worker=worker_name(),
            host=self._host,
            pid=os.getpid(),
            guard=self._guard,
            litellm=self._litellm,
            beat_seconds=settings.heartbeat_seconds,
            lease_seconds=settings.lease_seconds,
            limits={key_of(gauge)[:HASH_DIGITS]: limit for gauge, limit in limits},
            limiter=self.limiter,
            missing=self._missing(),
            settings=settings.model_dump(mode="json"),
            changed=list(settings.model_dump(exclude_defaults=True)),
            slots=self._registry.slots(),
            obeys=True,
            endless=self._endless(),
        )
