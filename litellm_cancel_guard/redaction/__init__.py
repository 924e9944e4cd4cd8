"""The bottom of everything that speaks: no secret goes to a client, none to a log, whoever's words they are.

`for_client` and `for_log` are what words pass on their way out; `records.log` is the guard's own log, whose every line
has passed. What they know is data (`formats`). Nothing here knows LiteLLM: its own redaction is handed in by the mends.
"""

from __future__ import annotations

from litellm_cancel_guard.redaction.words import REDACTED, Redaction, bounded, for_client, for_log, use

__all__ = ["REDACTED", "Redaction", "bounded", "for_client", "for_log", "use"]
