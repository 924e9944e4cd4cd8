"""What this worker says of itself in its record; see `lease.records`."""

from __future__ import annotations

import os
import socket
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

from litellm_cancel_guard.lease.keyname import key_of
from litellm_cancel_guard.lease.records import HASH_DIGITS, MOST_LIMITS, Record
from litellm_cancel_guard.lease.slotname import worker_name

if TYPE_CHECKING:
    from litellm_cancel_guard.ledger.registry import Registry
    from litellm_cancel_guard.settings import Settings


def guard_version() -> str:
    """Return the version of the guard, also where it runs from a folder without being installed."""
    try:
        return version("litellm-cancel-guard")
    except PackageNotFoundError:
        return "(not installed)"


class Identity:
    """This worker; `record` is as of now.

    Args:
        litellm: LiteLLM's version.
    """

    def __init__(self, registry: Registry, settings: Settings, litellm: str) -> None:
        self._registry = registry
        self._settings = settings
        self._litellm = litellm
        self._host = socket.gethostname()
        self._guard = guard_version()

    def record(self) -> Record:
        """Return what is to be written with this heartbeat."""
        limits = self._registry.limits(MOST_LIMITS)
        return Record(
            worker=worker_name(),
            host=self._host,
            pid=os.getpid(),
            guard=self._guard,
            litellm=self._litellm,
            beat_seconds=self._settings.heartbeat_seconds,
            lease_seconds=self._settings.lease_seconds,
            limits={key_of(gauge)[:HASH_DIGITS]: limit for gauge, limit in limits},
        )
