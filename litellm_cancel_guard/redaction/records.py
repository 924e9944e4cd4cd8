"""The guard's own log lines: LiteLLM's logger, its handlers and filters, and no secret in any line of the guard's.

A provider's words come into a log by an exception: its text, its traceback, and those of its causes.
"""

from __future__ import annotations

import logging
import traceback
from typing import TYPE_CHECKING, Any

from litellm_cancel_guard.redaction.words import for_client, for_log

if TYPE_CHECKING:
    from collections.abc import Iterator

_NAME = "LiteLLM Proxy"
_FRAME = '  File "'


class Told(Exception):  # noqa: N818 - it is shown in a log, by its name
    """Stands for an exception in a record: a formatter that makes its own text of one finds what may be read."""


class _GuardLog(logging.Logger):
    """Logs as LiteLLM's logger of that name does, which is left as it is: only what the guard says passes here."""

    def __init__(self) -> None:
        super().__init__(_NAME)
        self._host = logging.getLogger(_NAME)

    def isEnabledFor(self, level: int) -> bool:  # noqa: N802 - logging's
        return self._host.isEnabledFor(level)

    def handle(self, record: logging.LogRecord) -> None:
        if self.filter(record):
            redact(record)
            self._host.handle(record)


def redact(record: logging.LogRecord) -> None:
    """Redact what *record* says, in place; never raises."""
    try:
        record.msg, record.args = for_log(record.getMessage()), None
    except Exception as fault:
        record.msg, record.args = f"cancel_guard: a line of the log could not be written ({type(fault).__name__})", None
    if isinstance(record.exc_info, tuple) and record.exc_info[1] is not None:
        record.exc_text = _traceback_of(record.exc_info[1])
        record.exc_info = (Told, Told(record.exc_text), None)


def _traceback_of(error: BaseException) -> str:
    try:
        return "".join(_lines_of(error)).rstrip("\n")
    except Exception as fault:
        return f"{type(error).__name__}, whose traceback could not be written ({type(fault).__name__})"


def _lines_of(error: BaseException) -> Iterator[str]:
    """Yield the parts of a traceback: where it was, for an operator, and what was said, as to a client."""
    for part in traceback.TracebackException.from_exception(error).format():
        yield for_log(part) if part.startswith(_FRAME) else for_client(part)


log: Any = _GuardLog()
