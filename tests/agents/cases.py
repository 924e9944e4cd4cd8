"""What the provider does to an agent, and what is to come of it: the whole answer, or a failure in words."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from tests.agents.agents import CLAUDE, Agent


class End(Enum):
    """How an agent may end: with the whole answer and 0, or with a failure's words and another number."""

    WHOLE = "the whole answer"
    FAILED = "the failure in words"


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
# Where an agent's own rule has it otherwise, in the version that is pinned.
OWN_RULES: dict[tuple[Agent, Case], tuple[End, str]] = {
    (CLAUDE, ALWAYS_ERROR): (End.WHOLE, "asks again unstreamed, and the script fails streams alone"),
}
