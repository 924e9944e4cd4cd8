"""A host that notes how it is called."""

from __future__ import annotations

from typing import Any

from litellm_cancel_guard.lease.graft import Graft

GRAFT = Graft("a.graft", "a", "nothing much")


class Host:
    def __init__(self) -> None:
        self.calls: list[Any] = []

    async def awaited(self, *args: Any, **kwargs: Any) -> Any:
        self.calls.append((args, kwargs))
        return "the host's answer"

    def called(self, *args: Any, **kwargs: Any) -> Any:
        self.calls.append((args, kwargs))
        return "the host's answer"

    async def fails(self) -> None:
        self.calls.append(())
        raise KeyError("the host's own")
