"""The moment between a web server's last request and its process' end."""

from __future__ import annotations

import functools
import inspect
import signal
from typing import TYPE_CHECKING, Any

from litellm_cancel_guard.lease.graft import State
from litellm_cancel_guard.redaction.records import log

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from litellm_cancel_guard.host.grafting import Board


_MARK = "_cancel_guard_gives_back"


def act_last(act: Callable[[], Awaitable[None]], board: Board) -> None:
    """Have *act* awaited at the server's end, if it can be seen coming; *board* shows whether."""
    try:
        found = after_the_last_request(act)
    except (AttributeError, TypeError) as refused:
        # Raised on, it would have failed the request that began the heartbeat.
        board.note("server.last", State.STANDS_ASIDE, f"the server's shutdown can't be set: {refused}")
        return
    state = State.IN_FORCE if found else State.NOT_NEEDED
    board.note("server.last", state, "" if found else "no uvicorn: the loop's end and the lease are left")


def after_the_last_request(act: Callable[[], Awaitable[None]]) -> bool:
    """Have *act* awaited when the running uvicorn has let go of its requests; return whether one was found.

    uvicorn (0.29 - 0.54, server.py, ``capture_signals``) raises the signal that stopped it once more inside its event
    loop, so that the process ends there: no task is cancelled and none is waited for. Requests that it cancelled a
    moment before, when ``timeout_graceful_shutdown`` was over, get no turn to give their slots back. It is known by
    its signal handler, a method of the server; where there is none, the loop's end and the lease are what is left.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        server = getattr(signal.getsignal(number), "__self__", None)
        shutdown: Any = getattr(server, "shutdown", None)
        if server is not None and inspect.iscoroutinefunction(shutdown):
            if not getattr(shutdown, _MARK, False):
                server.shutdown = _then(shutdown, act)
            return True
    return False


def _then(shutdown: Callable[..., Awaitable[Any]], act: Callable[[], Awaitable[None]]) -> Callable[..., Awaitable[Any]]:
    @functools.wraps(shutdown)
    async def shut_down(*args: Any, **kwargs: Any) -> Any:
        try:
            return await shutdown(*args, **kwargs)
        finally:
            try:
                await act()
            except Exception:
                log.exception("cancel_guard: slots could not be given back at the server's end; they lapse")

    setattr(shut_down, _MARK, True)
    return shut_down
