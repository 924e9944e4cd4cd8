"""Mends of LiteLLM's stream sources, each found by what is there and not by a version.

They keep a stream from spinning, and let a failure be one: where LiteLLM loses it, no hook ever sees it. Each mend says
in which versions it is needed; on the others it finds nothing to do, or does what LiteLLM does by then.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from litellm_cancel_guard.host.grafting import SWITCHED_OFF, NotFoundError
from litellm_cancel_guard.host.mends import (
    agents,
    answers,
    anthropic,
    behind,
    bridge,
    destructor,
    gemini,
    headers,
    late,
    layers,
    messages,
    redaction,
    responses,
    source,
    wires,
)
from litellm_cancel_guard.lease.graft import State
from litellm_cancel_guard.redaction.records import log

if TYPE_CHECKING:
    from collections.abc import Callable

    from litellm_cancel_guard.host.grafting import Board, Touch
    from litellm_cancel_guard.settings import Settings


_MENDS: tuple[Callable[[Settings, Touch], bool], ...] = (
    redaction.mend,
    layers.mend,
    wires.mend,
    behind.mend,
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

# What is mended are classes and modules of this process, whichever copy of the guard came first.
_put_in: dict[str, Touch] = {}


def mend(settings: Settings, board: Board) -> None:
    """Mend what can be mended, once. A mend that fails is logged; the others are done all the same."""
    for one in _MENDS:
        _mend(board, one, partial(one, settings))
    # Before an agent is asked there is nothing to mend; a graft that nobody has tried stands aside, which alarms.
    mend_agents(board)


def mend_entrance(board: Board) -> None:
    """Mend, once, what a first request has passed before it comes to the guard; it acts on guarded ones alone."""
    _mend(board, late.mend, late.mend)


def mend_agents(board: Board) -> None:
    """Mend, once, what is there only when an agent has been asked; until then it is not needed."""
    _mend(board, agents.mend, agents.mend)


def take_out(board: Board) -> None:
    """Have LiteLLM's classes be what they were; streams that are being read go on as LiteLLM serves them."""
    for name, touch in reversed(_put_in.items()):
        touch.take_out()
        board.note(name, State.STANDS_ASIDE, SWITCHED_OFF)
    _put_in.clear()


def _mend(board: Board, mended: Callable[..., bool], put_in: Callable[[Touch], bool]) -> None:
    name = f"stream.{mended.__module__.rpartition('.')[2]}"
    if name in _put_in:
        if _put_in[name].in_force:
            board.note(name, State.IN_FORCE)
        return
    touch = board.touch(name)
    try:
        done = put_in(touch)
    except NotFoundError as reason:
        touch.take_out()
        board.note(name, State.STANDS_ASIDE, str(reason))
        return
    except Exception as fault:
        touch.take_out()
        log.exception("cancel_guard: %s could not be put in; LiteLLM is as it was there", name)
        board.note(name, State.STANDS_ASIDE, f"{type(fault).__name__}: {fault}")
        return
    if done:
        _put_in[name] = touch
    board.note(name, State.IN_FORCE if done else State.NOT_NEEDED, "" if done else "nothing to mend in this LiteLLM")
