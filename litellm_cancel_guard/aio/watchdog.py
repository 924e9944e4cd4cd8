"""A watch over the event loop, from outside of it: a loop that stands still can tell nobody.

Known ways to stall it: an iterator that returns None for ever (host/mends/source.py), and tiktoken 0.12, which
counts an unbroken run of letters in quadratic time (LiteLLM 1.83 pins it; 128 s for 500 kB, synchronously on the loop).
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import threading
import time
import traceback
import weakref

from litellm_cancel_guard.redaction.records import log

EXIT_STATUS = 70
_watching: weakref.WeakSet[asyncio.AbstractEventLoop] = weakref.WeakSet()


def watch(seconds: float, on_stall: str) -> None:
    """Watch the running loop, once.

    Args:
        seconds: how long it may stand still; 0: it is not watched.
        on_stall: ``log`` says where it stands, ``exit`` also ends the process with status 70.
    """
    loop = asyncio.get_running_loop()
    if seconds > 0 and loop not in _watching:
        _watching.add(loop)
        Watchdog(loop, seconds, on_stall).start()


class Watchdog(threading.Thread):
    """Asks the loop for a sign of life, and waits for it."""

    def __init__(self, loop: asyncio.AbstractEventLoop, seconds: float, on_stall: str) -> None:
        super().__init__(name="cancel-guard-watchdog", daemon=True)
        self._loop = loop
        self._loop_thread = threading.get_ident()
        self._seconds = seconds
        self._on_stall = on_stall

    def run(self) -> None:
        """Ask until the loop is gone."""
        # The pause between two signs is short enough that a stall is told at most a quarter late.
        while self._ask():
            time.sleep(self._seconds / 4)

    def _ask(self) -> bool:
        """Wait for one sign of life; return whether the loop is still there to be asked."""
        sign = threading.Event()
        try:
            self._loop.call_soon_threadsafe(sign.set)
        except RuntimeError:
            return False
        if sign.wait(self._seconds):
            return True
        if not self._loop.is_running():
            return False
        self._tell()
        sign.wait()
        return not self._loop.is_closed()

    def _tell(self) -> None:
        frame = sys._current_frames().get(self._loop_thread)  # noqa: SLF001 - the only way to see another thread
        stack = "".join(traceback.format_stack(frame)) if frame is not None else "(its thread is gone)"
        action = "This worker ends now" if self._on_stall == "exit" else "No request is served until it goes on"
        log.critical(
            "cancel_guard: the event loop has stood still for %g seconds. %s. It stands at:\n%s",
            self._seconds,
            action,
            stack,
        )
        if self._on_stall == "exit":
            # The loop serves no signal, so nothing gentler ends it; the supervisor starts another.
            logging.shutdown()
            os._exit(EXIT_STATUS)
