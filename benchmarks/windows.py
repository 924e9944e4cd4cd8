"""Windows of load: one in which a request failed measures something else, and is played again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

    class Window(Protocol):
        @property
        def failed(self) -> int: ...


W = TypeVar("W", bound="Window")
MOST = 3
THROWN = "windows thrown away: a request failed"


class TroubledError(RuntimeError):
    """One window after another had failed requests; what went wrong is in the proxy's log."""


@dataclass
class Windows:
    """Those of one side, bare or guarded."""

    thrown: int = 0

    def untroubled(self, play: Callable[[], W]) -> W:
        """Return the first window without a failed request; count those that were thrown away before it.

        Raises:
            TroubledError: so many on end had one that this is what there is to see.
        """
        for _ in range(MOST):
            window = play()
            if not window.failed:
                return window
            self.thrown += 1
        raise TroubledError(f"requests failed in {MOST} windows on end, in the last of them {window.failed}")
