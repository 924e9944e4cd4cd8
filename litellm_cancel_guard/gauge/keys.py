"""The only place where a Redis key is spelled."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


def raw(key: str) -> str:
    """Return *key* as it is: a LiteLLM without a Redis namespace."""
    return key


@dataclass(frozen=True, slots=True)
class Keys:
    """The keys of a gauge, all under its hash tag, so that a cluster keeps them on one node; and those of a worker.

    Attributes:
        namespaced: is given each whole key and returns it as LiteLLM would
            write it (its ``check_and_fix_namespace``).
    """

    namespaced: Callable[[str], str] = raw

    def limiter_count(self, gauge: str) -> str:
        """Return LiteLLM's own key: a sorted set of slots from 1.94 on, a number before."""
        return self.namespaced(f"{{{gauge}}}:max_parallel_requests")

    def limiter_window(self, gauge: str) -> str:
        """Return LiteLLM's key for the start of the current window."""
        return self.namespaced(f"{{{gauge}}}:window")

    def limiter_requests(self, gauge: str) -> str:
        """Return LiteLLM's key for the requests in the current window."""
        return self.namespaced(f"{{{gauge}}}:requests")

    def limiter_tokens(self, gauge: str) -> str:
        """Return LiteLLM's key for the tokens in the current window."""
        return self.namespaced(f"{{{gauge}}}:tokens")

    def slots(self, gauge: str) -> str:
        """Return the guard's sorted set of slots, where LiteLLM has none."""
        return self.namespaced(f"{{{gauge}}}:cancel_guard:slots")

    def mirror(self, gauge: str) -> str:
        """Return the guard's book on what it wrote to LiteLLM's number."""
        return self.namespaced(f"{{{gauge}}}:cancel_guard:mirror")

    def worker(self, name: str) -> str:
        """Return the guard's record of a worker, which belongs to no gauge."""
        return self.namespaced(f"cancel_guard:worker:{name}")

    def line(self, gauge: str) -> tuple[str, ...]:
        """Return the keys of those who wait for a slot: places, line, ring and waits, as `line.lua` calls them."""
        begins = f"{{{gauge}}}:cancel_guard:"
        return tuple(self.namespaced(begins + name) for name in ("places", "line", "ring", "waits"))

    def channel(self) -> str:
        """Return how the channels begin on which workers are told that a slot was handed to them."""
        return self.namespaced("cancel_guard:handed:")

    def counted(self, hour: str) -> str:
        """Return the hash of what all workers have counted in an *hour*, by its number since 1970."""
        return self.namespaced(f"cancel_guard:counted:{hour}")

    def holding(self, worker: str) -> str:
        """Return what a worker says of who holds its slots, on the same node of a cluster."""
        return self.namespaced(f"cancel_guard:holders:{{{self.worker(worker)}}}")

    def orders(self, worker: str) -> str:
        """Return what operators have ordered of a worker; a cluster keeps it on the node of the worker's record."""
        return self.namespaced(f"cancel_guard:orders:{{{self.worker(worker)}}}")
