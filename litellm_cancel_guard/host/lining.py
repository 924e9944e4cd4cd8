"""Whether and how a request waits where its key is full: by the settings, or by what the key's metadata say."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from litellm_cancel_guard.host.about import told
from litellm_cancel_guard.host.callers import caller_in
from litellm_cancel_guard.lease.lease import Turn, class_of
from litellm_cancel_guard.redaction.records import log
from litellm_cancel_guard.settings import LINE_SETTINGS, SettingsError, sound_line

if TYPE_CHECKING:
    from litellm_cancel_guard.ledger.registry import Request

_BLOCK = "cancel_guard"
# Whoever may edit keys could otherwise fill the log, or this worker's memory with what was said.
_MOST_COMPLAINTS, _MOST_LETTERS = 100, 300
_said: set[str] = set()


def line_up(request: Request | None, settings: Any, key: Any, data: Any = None) -> None:
    """Say of *request* who asks, and how long it waits for a slot of *key*, LiteLLM's ``UserAPIKeyAuth``."""
    # A tool that is called inside an answer has data of its own, which say nothing of who asked for the answer.
    if request is None or request.lease is not None:
        return
    line = {name: getattr(settings, name) for name in LINE_SETTINGS} | _of_key(getattr(key, "metadata", None))
    headers = () if request.asked is None else request.asked.headers
    caller, turns = caller_in(headers, line["fair_by"], partial(told, data=data, key=key))
    request.asked_by(caller)
    waits = line["max_wait_seconds"] > 0 and line["max_waiting"] > 0
    turn = Turn(line["max_waiting"], class_of(caller, turns)) if waits else None
    request.may_wait(turn, line["max_wait_seconds"])


def _of_key(metadata: Any) -> dict[str, Any]:
    block = metadata.get(_BLOCK) if isinstance(metadata, dict) else None
    if block is None:
        return {}
    try:
        return sound_line(block)
    except SettingsError as error:
        if (text := str(error)[:_MOST_LETTERS]) not in _said and len(_said) < _MOST_COMPLAINTS:
            _said.add(text)
            log.warning("cancel_guard: metadata of a key: %s. The settings hold for it", text)
        return {}
