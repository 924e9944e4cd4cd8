"""An agent of A2A 0.3 that says `final` of a status is done with its stream, whatever the state.

The a2a-sdk reads its events into those of 1.0, which have no such word, and LiteLLM makes 0.3's of them again, `final`
for the four last states alone (1.109 - 1.110, a2a_protocol/main.py; a2a-sdk 1.3, compat/v0_3/conversions.py). A stream
that ends so would pass for a cut one: what was said is noted on the request.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from litellm_cancel_guard.terminal import sighting

if TYPE_CHECKING:
    from litellm_cancel_guard.host.grafting import Touch

_MODULE = "a2a.compat.v0_3.conversions"
_READS = "to_core_task_status_update_event"


def mend(touch: Touch) -> bool:
    """Note each `final`; LiteLLM imports the SDK when an agent is first asked."""
    module: Any = sys.modules.get(_MODULE)
    if not hasattr(module, _READS):
        return False

    def to_core_task_status_update_event(original: Any, compat_event: Any, *args: Any, **kwargs: Any) -> Any:
        seen = sighting.current()
        if seen is not None and getattr(compat_event, "final", None) is True:
            seen.final_said = True
        return original(compat_event, *args, **kwargs)

    touch.replace(module, _READS, to_core_task_status_update_event)
    return True
