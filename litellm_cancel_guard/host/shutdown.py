"""The moment between a web server's last request and its process' end."""

from __future__ import annotations

import asyncio
import functools
import inspect
import signal
import sys
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from litellm_cancel_guard.lease.graft import State
from litellm_cancel_guard.redaction.records import log

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine

    from litellm_cancel_guard.host.grafting import Board

    Act = Callable[[], Awaitable[None]]
    First = Callable[[float | None], Coroutine[Any, Any, None]]


_MARK = "_cancel_guard_gives_back"


async def _nothing(grace: float | None) -> None:
    """Leave a server's end to the server."""


def act_last(act: Act, board: Board, first: First = _nothing) -> None:
    """Have *act* awaited at the server's end, if it can be seen coming; *board* shows whether. *first*: see below."""
    try:
        found = after_the_last_request(act, first)
        if not found:
            at_the_signal(first)
    except Exception as refused:
        # Raised on, it would have failed the request that began the heartbeat.
        board.note("server.last", State.STANDS_ASIDE, f"the server's shutdown can't be set: {refused}")
        return
    state = State.IN_FORCE if found else State.NOT_NEEDED
    board.note("server.last", state, "" if found else "no uvicorn: the loop's end and the lease are left")


def after_the_last_request(act: Act, first: First = _nothing) -> bool:
    """Have *act* awaited when the running uvicorn has let go of its requests; return whether one was found.

    *first* runs while it waits for them, and is given for how many seconds it does; None: for ever.

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
                server.shutdown = _then(shutdown, act, functools.partial(_begin, first, server))
            return True
    return False


def at_the_signal(first: First) -> None:
    """Run *first* when this process is told to end, whose server says so to nobody: hypercorn, granian.

    Hypercorn (0.14 - 0.18, asyncio/run.py) gives its requests `Config.graceful_timeout`, which LiteLLM leaves at 3 s;
    granian all the time they need. What they do at the signal they still do, and first.
    """
    before = signal.getsignal(signal.SIGTERM)
    if threading.current_thread() is not threading.main_thread() or not callable(before) or hasattr(before, _MARK):
        return
    loop = asyncio.get_running_loop()

    def told(number: int, frame: Any) -> None:
        before(number, frame)
        # Told once more when its loop is over, the process would die of an error, wherever it is.
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(lambda: running.append(loop.create_task(first(_hypercorns_grace()))))

    running: list[asyncio.Task[None]] = []
    setattr(told, _MARK, True)
    signal.signal(signal.SIGTERM, told)


def _hypercorns_grace() -> float | None:
    seconds = getattr(getattr(sys.modules.get("hypercorn.config"), "Config", None), "graceful_timeout", None)
    return float(seconds) if isinstance(seconds, int | float) else None


def _begin(first: First, server: Any) -> Coroutine[Any, Any, None]:
    seconds = getattr(getattr(server, "config", None), "timeout_graceful_shutdown", None)
    return first(float(seconds) if isinstance(seconds, int | float) else None)


def _begun(first: Callable[[], Coroutine[Any, Any, None]]) -> asyncio.Future[None] | None:
    try:
        return asyncio.ensure_future(first())
    except Exception:
        # Raised on, the server would go on without an end.
        log.exception("cancel_guard: what is open when the server cuts is not told of it")
        return None


def _then(
    shutdown: Callable[..., Awaitable[Any]], act: Act, first: Callable[[], Coroutine[Any, Any, None]]
) -> Callable[..., Awaitable[Any]]:
    @functools.wraps(shutdown)
    async def shut_down(*args: Any, **kwargs: Any) -> Any:
        beside = _begun(first)
        try:
            return await shutdown(*args, **kwargs)
        finally:
            if beside is not None:
                beside.cancel()
            try:
                await act()
            except Exception:
                log.exception("cancel_guard: slots could not be given back at the server's end; they lapse")

    setattr(shut_down, _MARK, True)
    return shut_down
