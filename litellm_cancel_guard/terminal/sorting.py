"""What of the chunks that were pulled may go out, and the failure that one of them reports."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from litellm_cancel_guard.redaction.records import log
from litellm_cancel_guard.terminal.failure import cut_off
from litellm_cancel_guard.terminal.frames import before_error
from litellm_cancel_guard.terminal.readings import reading_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from litellm_cancel_guard.terminal.events import Begun, Protocol
    from litellm_cancel_guard.terminal.failure import Failure


class Sorter:
    """One stream. A fault in here leaves the stream as LiteLLM serves it from there on, with nothing lost.

    Attributes:
        failed: what the stream has reported, or that it was cut; None while it is healthy.
        cut: whether one that has ended and reported nothing was cut, which it was not where it may end in any way; None
            where that is not told.
    """

    def __init__(self, protocol: Protocol, *, tell_truncation: bool) -> None:
        self._tell_truncation = tell_truncation
        self._reading = reading_of(protocol)
        self._frames = self._reading.frames if self._reading.framed else None
        self._aside = False
        self.failed: Failure | None = None
        self.cut: bool | None = None

    @property
    def content(self) -> bool:
        """Whether something has come that a client waits for, more than opening frames."""
        return self._aside or self._reading.content

    @property
    def begun(self) -> Begun:
        """What a Responses stream has said of itself."""
        return self._reading.said()

    @property
    def passes(self) -> Callable[[Any], bool] | None:
        """What tells, behind the first content, that a chunk goes out as it is; None where each does."""
        return self._reading.is_ordinary if self._reading.reads_on and not self._aside else None

    @property
    def whole(self) -> bool:
        """Whether it has come to the end that its protocol tells."""
        return self.failed is None and not self._aside and self._reading.cut is False

    def told_whole(self) -> None:
        """Take note that what has come is all, told by another."""
        self._reading.whole = True

    def push(self, pulled: Any) -> list[Any]:
        """Return what may go out now that *pulled* has come: the very object, where that can be."""
        if self._aside:
            return [pulled]
        kept = self._frames.kept if self._frames is not None else []
        try:
            return self._sorted(pulled)
        except Exception as fault:
            self._stand_aside(fault)
            return [*kept, pulled]

    def end(self) -> list[Any]:
        """Return what is left when the stream has ended, if it ended as a whole one does."""
        rest: list[Any] = self._frames.kept if self._frames is not None and not self._aside else []
        try:
            for chunk in rest:
                self.failed = self.failed or self._reading.read(chunk)
            if self.failed is None and not self._aside:
                self.cut = self._reading.cut if self._tell_truncation else False
                self.failed = cut_off() if self.cut else None
        except Exception as fault:
            self._stand_aside(fault)
        return [] if self.failed else rest

    def _stand_aside(self, fault: Exception) -> None:
        log.error("cancel_guard: a stream goes on as LiteLLM serves it", exc_info=fault)
        self._aside, self.failed = True, None

    def _sorted(self, pulled: Any) -> list[Any]:
        if self._frames is None:
            self.failed = self._reading.read(pulled)
            return [] if self.failed else [pulled]
        healthy: list[Any] = []
        for chunk in self._frames.push(pulled):
            self.failed = self._reading.read(chunk)
            if self.failed is not None:
                return [*healthy, *before_error(chunk)]
            healthy.append(chunk)
        return healthy
