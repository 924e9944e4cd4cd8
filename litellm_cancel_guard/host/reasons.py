"""The provider's own word for an answer's end, where LiteLLM has none for it and says `stop` (1.80 - 1.110)."""

from __future__ import annotations

import re
import weakref
from functools import partial
from typing import TYPE_CHECKING, Any

from litellm_cancel_guard.redaction.records import log
from litellm_cancel_guard.terminal.ends import ENDS

if TYPE_CHECKING:
    from collections.abc import Callable

    from litellm_cancel_guard.terminal.wire import Wire

_MADE_UP = "stop"
_SAID = ("content", "reasoning_content", "tool_calls", "function_call", "audio")
# What of LiteLLM's wrapper makes the chunk that says it (litellm_core_utils/streaming_handler.py).
_MAKERS = ("chunk_creator", "finish_reason_handler")
# What goes out, and into the log, is a word; and not more of them than anybody reads.
_WORD = re.compile(r"[A-Za-z][\w.-]{0,63}")
_MOST = 256
_said: set[tuple[str, str]] = set()


def ends(chunk: Any) -> bool:
    """Tell whether *chunk*, as LiteLLM or the openai SDK makes it, has a reason of any choice."""
    if isinstance(chunk, dict):
        return bool(chunk.get("is_finished"))
    choices = getattr(chunk, "choices", None) or ()
    return any(getattr(choice, "finish_reason", None) for choice in choices)


def says_more(chunk: Any) -> bool:
    """Tell whether *chunk* carries words, or a part of a tool call."""
    if isinstance(chunk, dict):
        return bool(chunk.get("text") or chunk.get("tool_use"))
    deltas = (getattr(choice, "delta", None) for choice in getattr(chunk, "choices", None) or ())
    return any(getattr(delta, name, None) for delta in deltas for name in _SAID)


def say(wrapper: Any, wire: Wire) -> None:
    """Have *wrapper* end in the word of *wire* where it would say `stop`; one that nobody documents is logged once."""
    word = wire.word
    if word is None or word == _MADE_UP or _WORD.fullmatch(word) is None:
        return
    if word not in ENDS.values():
        _log(getattr(wrapper, "custom_llm_provider", None), getattr(wrapper, "model", None), word)
    known = weakref.ref(wrapper)
    for name in _MAKERS:
        make = getattr(type(wrapper), name, None)
        if callable(make):
            setattr(wrapper, name, partial(_worded, make, known, word))


def _worded(make: Callable[..., Any], wrapper: Callable[[], Any], word: str, /, *args: Any, **kwargs: Any) -> Any:
    chunk = make(wrapper(), *args, **kwargs)
    try:
        found = next(iter(getattr(chunk, "choices", None) or ()), None)
        if found is not None and found.finish_reason == _MADE_UP:
            found.finish_reason = word
    except Exception:
        log.exception("cancel_guard: an answer ends in LiteLLM's word")
    return chunk


def _log(provider: Any, model: Any, word: str) -> None:
    about = (f"{provider}/{model}", word)
    if about in _said or len(_said) >= _MOST:
        return
    _said.add(about)
    log.warning(
        "cancel_guard: %s ends answers with %r, which no table of the guard names: it goes out as it is", *about
    )
