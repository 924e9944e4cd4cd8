"""Which releases of LiteLLM the guard was played on, as data in the package: `proven.json`.

A release between two proven ones of the same limiter counts as covered. Above the newest, or between two shapes of
limiter, nobody has looked: the canary decides, or the operator has said that the guard stands aside there.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from litellm_cancel_guard.redaction.records import log

if TYPE_CHECKING:
    from collections.abc import Callable

FILE = Path(__file__).with_name("proven.json")

_RELEASE = re.compile(r"(\d+)\.(\d+)\.(\d+)$")


class Standing(str, Enum):
    """What is known of a release."""

    PROVEN = "proven"
    COVERED = "covered"
    UNPROVEN = "unproven"
    WITHDRAWN = "withdrawn"


@dataclass(frozen=True)
class Known:
    """What `proven.json` says.

    Attributes:
        shapes: the limiter's shape of each release that was played and found right.
        withdrawn: releases that are on the index no more, and why.
        fault: why the file could not be read; empty where it was.
    """

    shapes: dict[tuple[int, int, int], str]
    withdrawn: dict[str, str]
    fault: str = ""

    def of(self, version: str) -> Standing:
        """Return what is known of *version*, as LiteLLM's package states it."""
        if version in self.withdrawn:
            return Standing.WITHDRAWN
        release = release_of(version)
        if release is None:
            return Standing.UNPROVEN
        if release in self.shapes:
            return Standing.PROVEN
        below = max((known for known in self.shapes if known < release), default=None)
        above = min((known for known in self.shapes if known > release), default=None)
        if below is None or above is None or self.shapes[below] != self.shapes[above]:
            return Standing.UNPROVEN
        return Standing.COVERED

    def why_not(self, version: str) -> str:
        """Return why *version* is not known."""
        return self.fault or self.withdrawn.get(version) or f"the newest is {self.newest}"

    @property
    def newest(self) -> str:
        """The newest release that was played; empty where none was."""
        return ".".join(map(str, max(self.shapes))) if self.shapes else ""


def release_of(version: str) -> tuple[int, int, int] | None:
    """Return the three numbers of a release; None of a development version, or of what is none."""
    found = _RELEASE.match(version)
    return (int(found[1]), int(found[2]), int(found[3])) if found else None


def known(file: Path = FILE) -> Known:
    """Return what *file* says; nothing is known where it is missing or broken, and ``fault`` says so."""
    try:
        said: Any = json.loads(file.read_text(encoding="utf-8"))
        played = {release_of(name): entry["limiter"] for name, entry in said["played"].items() if entry["right"]}
        withdrawn = {str(name): str(why) for name, why in said["withdrawn"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as fault:
        return Known({}, {}, f"{file.name} can't be read ({type(fault).__name__}): reinstall the guard")
    return Known({release: shape for release, shape in played.items() if release is not None}, withdrawn)


class UnprovenError(Exception):
    """The operator has chosen that the guard stands aside on a LiteLLM that it was never played on."""


def look_up(version: str, choice: str, told: Callable[..., None]) -> None:
    """Say of LiteLLM's *version* whether it is known: to *told* in any case, in the log where it is not.

    Raises:
        UnprovenError: it is not, and *choice* is ``stand_aside``.
    """
    book = known()
    stands = book.of(version)
    is_proven = stands in (Standing.PROVEN, Standing.COVERED)
    told(proven=is_proven)
    if is_proven:
        return
    text = f"LiteLLM {version} is none that this version of the guard was proven on ({book.why_not(version)})"
    if choice == "stand_aside":
        raise UnprovenError(f"{text}, and on_unproven_litellm is stand_aside")
    log.warning("cancel_guard: %s: each worker proves for itself that both count the same", text)
