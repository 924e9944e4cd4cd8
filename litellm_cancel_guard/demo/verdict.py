"""What the numbers mean, in sentences; nothing here knows which version should do what."""

from __future__ import annotations

from typing import TYPE_CHECKING

from litellm_cancel_guard.demo.proxy import CAP, WINDOW_SECONDS

if TYPE_CHECKING:
    from litellm_cancel_guard.demo.crowd import Crowd
    from litellm_cancel_guard.demo.patterns import Cut
    from litellm_cancel_guard.demo.screen import Outcome
    from litellm_cancel_guard.host.setup_files import LiteLLM

_FOOTNOTE = (
    f"Both ran with LITELLM_RATE_LIMIT_WINDOW_SIZE={WINDOW_SECONDS} (LiteLLM's default is 60):\n"
    "no reset of a window hides a leak. From 1.94 on LiteLLM has no such reset, and a\n"
    "leaked slot stays for 3600 s."
)


def nothing_leaked(litellm: LiteLLM) -> str:
    """Say that the pattern shows nothing."""
    return f"\nLiteLLM {litellm.version} alone gives these slots back: here is nothing to repair."


def told(cut: Cut) -> str:
    """Return what a client was told of an answer that was cut."""
    if cut.error is not None:
        return f"{cut.words} words, then an error: {cut.error}"
    return f"{cut.words} words, then {'the end of a whole answer' if cut.ended else 'nothing'}, and no error"


def summary(
    litellm: LiteLLM, bare: Outcome, guarded: Outcome, cuts: tuple[Cut, Cut], crowds: tuple[Crowd, Crowd]
) -> str:
    """Return the closing lines for the pattern that tells most, the answer that was cut, and the agents of one key."""
    alone = f"LiteLLM {litellm.version} alone"
    slots = [_of_bare(alone, bare), _of_guarded(guarded)]
    return "\n".join([*slots, _of_cuts(alone, *cuts), _of_crowds(*crowds), "", _FOOTNOTE])


def _of_crowds(refused: Crowd, waiting: Crowd) -> str:
    if waiting.refused:
        return f"In line {waiting.refused} requests of the agents were refused: a fault."
    return f"The agents were refused {refused.refused} times, and in line not once (max_wait_seconds)."


def _of_cuts(alone: str, bare: Cut, guarded: Cut) -> str:
    if not guarded.error:
        return "With the guard the client is not told that its answer was cut: a fault."
    if bare.error:
        return f"{alone} and the guard both tell the client of the cut."
    return f"{alone} does not tell the client of the cut; the guard does."


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
