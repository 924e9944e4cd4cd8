"""Where Redis can't keep a line: slots are taken and given back there as if there were none."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Any

from litellm_cancel_guard.gauge import GaugeCorruptError, GaugeUnavailableError
from litellm_cancel_guard.gauge.sending import is_refusal
from litellm_cancel_guard.lease.keyname import without_key
from litellm_cancel_guard.redaction.records import log

if TYPE_CHECKING:
    from collections.abc import Callable

    from litellm_cancel_guard.gauge.layout import Call, Layout
    from litellm_cancel_guard.gauge.running import Runner

    CallOf = Callable[[Layout], Call]

# How long nobody waits before it is tried again, and how long what is wrong is not said again.
_SECONDS, _UNTOLD_SECONDS = 10.0, 600.0
_MOST = 512
# A user without the right, up to Redis 7.0 and from 7.2 on (src/script.c, src/acl.c), and a server without the command.
_FORBIDDEN = re.compile(
    "can't run this command|can't access at least one of the keys|no permissions|^NOPERM|unknown (redis )?command",
    re.IGNORECASE,
)


class Unlined:
    """Knows of which gauges the keys of the line hold another type, or may not be used by Redis' user.

    Refused the line alone, a worker that took Redis for away would count such a key by itself, and more would run than
    its cap allows.
    """

    def __init__(self, runner: Runner, clock: Callable[[], float] = time.monotonic) -> None:
        self._runner = runner
        self._clock = clock
        # Until when, and why, and when that was last said.
        self._known: dict[str, tuple[float, str, float]] = {}

    def why(self, gauge: str) -> str:
        """Return why nobody waits for a slot of *gauge* now; empty where one may."""
        until, why, _ = self._known.get(gauge, (0.0, "", 0.0))
        return why if self._clock() < until else ""

    async def run(self, gauge: str, lined: CallOf, plain: CallOf) -> Any:
        """Return what *lined* answers, or *plain* where Redis refuses the line alone.

        Raises:
            GaugeUnavailableError: Redis could not be asked.
            GaugeCorruptError: it is not the line that holds another type.
        """
        if self.why(gauge):
            return await self._runner.run(plain)
        try:
            return await self._runner.run(lined)
        except (GaugeUnavailableError, GaugeCorruptError) as error:
            if not is_refused(error):
                raise
            why = without_key(error, gauge)
        answer = await self._runner.run(plain)
        self._note(gauge, why)
        return answer

    def _note(self, gauge: str, why: str) -> None:
        now = self._clock()
        _, _, told_at = self._known.pop(gauge, (0.0, "", float("-inf")))
        if now - told_at >= _UNTOLD_SECONDS:
            told_at = now
            log.warning("cancel_guard: no request can wait in line, one whose key is full is refused at once: %s", why)
        self._known[gauge] = now + _SECONDS, why, told_at
        if len(self._known) > _MOST:
            del self._known[next(iter(self._known))]


def is_refused(error: GaugeUnavailableError | GaugeCorruptError) -> bool:
    """Tell whether Redis has answered that it will not do this, however often it is asked.

    What it answers while it fails over, loads or is short of memory is none of that: any script is answered so then.
    """
    return isinstance(error, GaugeCorruptError) or (
        is_refusal(error.__cause__) and _FORBIDDEN.search(str(error.__cause__)) is not None
    )
