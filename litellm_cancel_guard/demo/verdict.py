"""What the numbers mean, in sentences; nothing here knows which version should do what."""

from __future__ import annotations

from typing import TYPE_CHECKING

from litellm_cancel_guard.demo.proxy import CAP, WINDOW_SECONDS

if TYPE_CHECKING:
    from litellm_cancel_guard.demo.screen import Outcome
    from litellm_cancel_guard.host.setup_files import LiteLLM

_FOOTNOTE = (
    f"Both proxies ran with LITELLM_RATE_LIMIT_WINDOW_SIZE={WINDOW_SECONDS} (LiteLLM's default is 60): no reset of a\n"
    "window hides a leak. From 1.94 on LiteLLM has no such reset, and a leaked slot stays for 3600 s."
)


def nothing_leaked(litellm: LiteLLM) -> str:
    """Say that the pattern shows nothing, and announce one that may."""
    return (
        f"\nLiteLLM {litellm.version} alone gives every slot of this pattern back: here is nothing to repair.\n"
        "Now a route where that may be otherwise: a pass-through stream whose client leaves before the first chunk."
    )


def summary(litellm: LiteLLM, bare: Outcome, guarded: Outcome) -> str:
    """Return the closing lines for the last pattern played."""
    return "\n".join([_of_bare(f"LiteLLM {litellm.version} alone", bare), _of_guarded(guarded), "", _FOOTNOTE])


def _of_bare(who: str, bare: Outcome) -> str:
    if bare.slots_left > 0:
        return f"{who} keeps {bare.slots_left} of {CAP} slots for clients that have left. Refused: {bare.refused}."
    if bare.slots_left < 0:
        return (
            f"{who} gave slots back that were never taken: at {bare.slots_left}, it would admit "
            f"{CAP - bare.slots_left} at once, not {CAP}."
        )
    if bare.refused:
        return f"{who} refused {bare.refused} requests although Redis has every slot free: its local copy is off."
    return f"{who} was balanced here."


def _of_guarded(guarded: Outcome) -> str:
    if guarded.balanced:
        return "With the guard nothing was refused, and every slot is free."
    return f"With the guard {guarded.refused} requests were refused and {guarded.slots_left} slots are left: a fault."
