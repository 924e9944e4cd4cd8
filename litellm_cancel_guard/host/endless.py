"""Deployments whose every stream ends without an end: each is named once, with what to set for it.

A server may end whole answers so. Each of them is a failure to its client then, and only the operator can tell that
they were whole.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from litellm_cancel_guard.host import deployments
from litellm_cancel_guard.redaction.records import log
from litellm_cancel_guard.terminal.sighting import current

# So many streams in a row, of a deployment of which none has ended well in between.
IN_A_ROW = 10
# More deployments than an operator reads of; the one that was seen longest ago is forgotten.
_MOST = 256
_SHOWN = 10
# Of one that is asked no more, or is gone, nothing is said after that.
_FOR_SECONDS = 3600


@dataclass(slots=True)
class _Run:
    name: str
    cut: int = 0
    told: bool = False
    seen_at: float = 0.0


class Endless:
    """Those of one worker."""

    def __init__(self) -> None:
        self._runs: dict[str, _Run] = {}

    def ended(self, data: Any, *, cut: bool) -> None:
        """Note that a stream has ended, of the deployment that the router's *data* names: without an end, or not.

        Raises nothing.
        """
        try:
            if cut or self._runs:
                self._note(data, cut=cut)
        except Exception:
            log.exception("cancel_guard: how a stream has ended is not counted")

    def read_to_its_end(self, data: Any, *, cut: bool) -> None:
        """Note so where the provider's stream is read: on the route it is handed on in, it is not counted again."""
        if (seen := current()) is not None:
            seen.counted = True
        self.ended(data, cut=cut)

    def names(self) -> list[str]:
        """Return the deployments that end none of their streams, at most ten."""
        since = time.monotonic() - _FOR_SECONDS
        return [run.name for run in self._runs.values() if run.cut >= IN_A_ROW and run.seen_at >= since][:_SHOWN]

    def _note(self, data: Any, *, cut: bool) -> None:
        named = deployments.named(data)
        if named is None:
            return
        key, name = named
        run = self._runs.pop(key, None) or _Run(name)
        run.cut = run.cut + 1 if cut else 0
        run.seen_at = time.monotonic()
        if cut or run.told:
            # To its end, so that the one that was seen longest ago is the first.
            self._runs[key] = run
        if len(self._runs) > _MOST:
            del self._runs[next(iter(self._runs))]
        if run.cut == IN_A_ROW and not run.told:
            run.told = True
            log.warning("cancel_guard: %s", told(name))


def told(name: str) -> str:
    """Return what an operator is told of a deployment."""
    return (
        f"the last {IN_A_ROW} streams of {name} all ended without an end, and were failures to their clients; if its "
        "answers are whole, set `model_info: {cancel_guard: {on_truncation: pass}}` for it"
    )


ENDLESS = Endless()
