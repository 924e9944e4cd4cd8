"""Mends of LiteLLM's stream sources, each found by what is there and not by a version.

They keep a stream from spinning, and let a failure be one: where LiteLLM loses it, no hook ever sees it. Each mend says
in which versions it is needed; on the others it finds nothing to do, or does what LiteLLM does by then.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from litellm_cancel_guard.host.mends import (
    answers,
    anthropic,
    bridge,
    destructor,
    gemini,
    headers,
    late,
    messages,
    redaction,
    responses,
    source,
)
from litellm_cancel_guard.redaction.records import log

if TYPE_CHECKING:
    from collections.abc import Callable

    from litellm_cancel_guard.settings import Settings


_MENDS: tuple[Callable[[Settings], bool], ...] = (
    redaction.mend,
    source.mend,
    gemini.mend,
    bridge.mend,
    anthropic.mend,
    responses.mend,
    messages.mend,
    headers.mend,
    answers.mend,
    destructor.mend,
)
_mended: set[str] = set()


def mend(settings: Settings) -> None:
    """Mend what can be mended in this process, once. A mend that fails is logged; the others are done all the same."""
    for one in _MENDS:
        _mend(one, settings)


def mend_entrance() -> None:
    """Mend, once, what a first request has passed before it comes to the guard; it acts on guarded ones alone."""
    _mend(late.mend)


def _mend(one: Callable[..., bool], *settings: Settings) -> None:
    name = one.__module__.rpartition(".")[2]
    if name in _mended:
        return
    _mended.add(name)
    try:
        done = one(*settings)
    except Exception:
        log.exception("cancel_guard: the mend of %s streams failed; LiteLLM is as it was there", name)
    else:
        log.debug("cancel_guard: %s streams: %s", name, "mended" if done else "nothing to mend")
