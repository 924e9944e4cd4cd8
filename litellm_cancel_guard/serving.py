"""Which tasks a request is served by: its ASGI task, and those of LiteLLM's own in which hooks and streams run.

With ``sse_keepalive_ping_interval_seconds`` (1.103 - 1.109, proxy/common_request_processing.py
`open_sse_before_first_byte`) the hooks run in a task that is done as soon as there is a stream: by its end a slot would
be given back, and a pass-through stream closed, before the client has read a byte.
"""

from __future__ import annotations

import asyncio
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any
from weakref import ReferenceType, ref

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

# Weak: a task holds its context, and held by it in turn, each request would lie there with all that its context holds
# until the garbage collector comes round.
_asgi_task: ContextVar[ReferenceType[asyncio.Task[Any]] | None] = ContextVar(
    "litellm_cancel_guard_asgi_task", default=None
)


class Noted:
    """An ASGI app whose requests know the task that serves them, and so does every task that they make.

    POST alone: a task made by the lifespan, or by the GET of an MCP session over SSE, would hold what it serves until
    the server or the session ends.
    """

    def __init__(self, app: Callable[..., Awaitable[None]]) -> None:
        self._app = app

    def __call__(self, scope: Any, receive: Any, send: Any) -> Awaitable[None]:
        """Note the running task, and return what serves the request."""
        task = asyncio.current_task() if scope.get("method") == "POST" else None
        _asgi_task.set(None if task is None else ref(task))
        return self._app(scope, receive, send)


def note_tasks(app: Any) -> None:
    """Have *app*, a Starlette application, note the task of each request, once however often it is called."""
    stack = app.middleware_stack
    if stack is None:
        build = app.build_middleware_stack
        app.build_middleware_stack = lambda: Noted(build())
    elif not isinstance(stack, Noted):
        app.middleware_stack = Noted(stack)


def asgi_task() -> ReferenceType[asyncio.Task[Any]] | None:
    """Return a reference to the ASGI task of the POST that is served now; None where none was noted."""
    return _asgi_task.get()


def outer_task() -> asyncio.Task[Any] | None:
    """Return the ASGI task, if it still runs, and this code runs in another."""
    noted = asgi_task()
    task = None if noted is None else noted()
    return None if task is None or task.done() or task is asyncio.current_task() else task


def when_served(act: Callable[[], object]) -> None:
    """Call *act* when the running task is done, and the ASGI task too."""
    tasks = {task for task in (asyncio.current_task(), outer_task()) if task is not None}

    def done(task: asyncio.Task[Any]) -> None:
        tasks.discard(task)
        if not tasks:
            act()

    for task in list(tasks):
        task.add_done_callback(done)
