"""What the provider does to an agent, and what is to come of it: the whole answer, or a failure in words."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import Any, NamedTuple

from tests.agents.agents import AIDER, CLAUDE, GEMINI, QWEN


class End(Enum):
    """How an agent may end."""

    WHOLE = "the whole answer"
    BEHIND = "the whole answer, behind the words of the tries before"
    FAILED = "the failure in words"
    UNSIGNALLED = "the failure in words, and exit 0"
    TRYING = "none in its time"


@dataclass(frozen=True, eq=False)
class Case:
    name: str
    does: dict[str, Any] = field(repr=False)
    """Fields of the provider's script."""
    end: End = field(repr=False)
    words: str = field(default="", repr=False)
    """What a failure is to say."""

    def __str__(self) -> str:
        return self.name


_CUT = {"break_step": 2, "break_by": "cut"}
_CUT_SAYS = "The provider"
_ERROR = {"error_step": 2, "error_status": 529}
_ERROR_SAYS = "scripted 529"

WHOLE = Case("whole", {}, End.WHOLE)
ONCE_CUT = Case("cut_once", {**_CUT, "fail_first": 1}, End.WHOLE, _CUT_SAYS)
ONCE_ERROR = Case("error_once", {**_ERROR, "fail_first": 1}, End.WHOLE, _ERROR_SAYS)
ONCE_FIRST = Case("error_first_once", {**_ERROR, "error_step": 0, "fail_first": 1}, End.WHOLE, _ERROR_SAYS)
ALWAYS_CUT = Case("always_cut", _CUT, End.FAILED, _CUT_SAYS)
ALWAYS_ERROR = Case("always_error", _ERROR, End.FAILED, _ERROR_SAYS)
ALWAYS_REFUSED = Case("always_refused", {"status": 503}, End.FAILED, "scripted 503")
CASES = (WHOLE, ONCE_CUT, ONCE_ERROR, ONCE_FIRST, ALWAYS_CUT, ALWAYS_ERROR, ALWAYS_REFUSED)


class Rule(NamedTuple):
    """What an agent makes of a case by its own rule, in the version that is pinned."""

    end: End
    why: str
    words: str = ""
    """What it says instead of the failure's words."""


_AS_IT_COMES = "writes each word as it comes, and takes none back before it asks again"
_ALWAYS_ZERO = "ends with 0 whatever came of its message (main.py, behind coder.run)"
_SDK_S_OWN = "says what its SDK says of a last event that is none of Google's"
OWN_RULES = {
    (CLAUDE, ALWAYS_ERROR): Rule(End.WHOLE, "asks again unstreamed, and the script fails streams alone"),
    (GEMINI, ONCE_CUT): Rule(End.BEHIND, _AS_IT_COMES),
    (GEMINI, ONCE_ERROR): Rule(End.BEHIND, _AS_IT_COMES),
    (GEMINI, ALWAYS_CUT): Rule(End.FAILED, _SDK_S_OWN, "Error when talking to Gemini API"),
    (GEMINI, ALWAYS_ERROR): Rule(End.FAILED, _SDK_S_OWN, "Error when talking to Gemini API"),
    (QWEN, ALWAYS_REFUSED): Rule(End.TRYING, "goes on, with pauses that double"),
    (QWEN, ONCE_ERROR): Rule(End.FAILED, "asks again in mid-stream for 429, 503, 1302 and 1305 alone, and not for 529"),
    (AIDER, ONCE_CUT): Rule(End.BEHIND, _AS_IT_COMES),
    (AIDER, ONCE_ERROR): Rule(End.BEHIND, _AS_IT_COMES),
    (AIDER, ALWAYS_CUT): Rule(End.UNSIGNALLED, _ALWAYS_ZERO),
    (AIDER, ALWAYS_ERROR): Rule(End.UNSIGNALLED, _ALWAYS_ZERO),
    (AIDER, ALWAYS_REFUSED): Rule(End.UNSIGNALLED, _ALWAYS_ZERO),
}
