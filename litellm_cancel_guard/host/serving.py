"""What serves a request: its ASGI task, those of LiteLLM's own that hooks and streams run in, its server's functions.

With ``sse_keepalive_ping_interval_seconds`` (1.103 - 1.109, proxy/common_request_processing.py
`open_sse_before_first_byte`) the hooks run in a task that is done as soon as there is a stream: by its end a slot would
be given back, and a pass-through stream closed, before the client has read a byte.

A task may also never be done: under hypercorn over HTTP/2 a ``send()`` of the last message may never return, and then
the slot would be renewed for as long as the worker lives.
"""

from __future__ import annotations

import asyncio
import inspect
import time
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any
from weakref import ref

from litellm_cancel_guard.host import killing
from litellm_cancel_guard.host.exchange import Exchange
from litellm_cancel_guard.host.grafting import NotFoundError
from litellm_cancel_guard.host.refused import Telling
from litellm_cancel_guard.host.timeouts import PASS_THROUGH_SECONDS, longest_call

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from weakref import ReferenceType

    from litellm_cancel_guard.host.refused import Refused
    from litellm_cancel_guard.ledger.registry import Request
    from litellm_cancel_guard.terminal.failure import Failure

    App = Callable[..., Awaitable[None]]


class Served:
    """One HTTP request as its server sees it, known to every task that serves it. Times are on the monotonic clock.

    It is kept in the context, and those of tasks that go on for as long as the worker does: it holds its task weakly,
    and nothing of the connection.

    Attributes:
        task: its ASGI task.
        posted: whether what its tasks make belongs to it. Only to a POST: a task made by the GET of an MCP session over
            SSE would hold what it serves until the session ends.
        sent_at: when its last body message was handed to the server, which may never say that it is out.
        gone_at: when the server said that the client is gone, if that was before.
        polled: whether LiteLLM works on it when it has been answered: its client asks for the rest by an id.
        exchange: its server's functions, weakly.
    """

    __slots__ = ("exchange", "gone_at", "polled", "posted", "sent_at", "task")

    def __init__(self, task: ReferenceType[asyncio.Task[Any]], *, posted: bool) -> None:
        self.task = task
        self.posted = posted
        self.sent_at: float | None = None
        self.gone_at: float | None = None
        self.polled = False
        self.exchange: ReferenceType[Exchange] | None = None

    def heard_by(self, exchange: Exchange) -> None:
        """Ask *exchange* whether its client is gone."""
        self.exchange = ref(exchange)

    async def left(self) -> bool:
        """Wait until its client is gone; return whether that can be told at all."""
        exchange = None if self.exchange is None else self.exchange()
        return exchange is not None and await exchange.left()

    def is_over(self, lease_seconds: float, tasks: int) -> bool:
        """Tell whether what is held for it has been held for long enough, whether or not its *tasks* end.

        That is one lease after its last message, where only the ASGI task is left: the provider's answer is complete.
        Where the client is gone before, or another task goes on, LiteLLM may still ask the provider, for as long as it
        is told to wait for one at most.
        """
        if self.polled or (self.sent_at is None and self.gone_at is None):
            return False
        now = time.monotonic()
        if self.sent_at is not None and self._is_waited_for():
            if tasks == 1:
                return now - self.sent_at >= lease_seconds
            return _outlasts_a_call(now - self.sent_at, lease_seconds)
        return self.gone_at is not None and _outlasts_a_call(now - self.gone_at, lease_seconds)

    def _is_waited_for(self) -> bool:
        task = self.task()
        return task is not None and not task.done()


def _outlasts_a_call(seconds: float, lease_seconds: float) -> bool:
    # Not asked before it may matter: it looks at every deployment, for each request and each beat.
    return seconds >= max(lease_seconds, PASS_THROUGH_SECONDS) and seconds >= longest_call()


class Asked:
    """One HTTP request or WebSocket, as far as its client is concerned.

    Attributes:
        headers: as ASGI has them; none once it has been served, however long its context is kept.
        refused: a refusal of the guard's, which LiteLLM is about to answer with.
        streamed: whether its answer comes bit by bit, whatever type it names.
        ended: LiteLLM's call type and what its client is told, where it was ended before its time.
        waited: how long it has waited in line for slots, in seconds; 0 if it never did.
    """

    __slots__ = ("ended", "headers", "refused", "streamed", "waited")

    def __init__(self, scope: Any) -> None:
        self.headers: Any = scope.get("headers") or ()
        self.refused: Refused | None = None
        self.streamed = False
        self.ended: tuple[str, Failure] | None = None
        self.waited = 0.0

    def end(self, route: str, failure: Failure) -> None:
        """Note that it is ended before its time: whatever LiteLLM makes of that, its client is told *failure*."""
        self.ended = route, failure


_served: ContextVar[Served | None] = ContextVar("litellm_cancel_guard_served", default=None)
_asked: ContextVar[Asked | None] = ContextVar("litellm_cancel_guard_asked", default=None)


_ASKED = ("http", "websocket")


class Noted:
    """An ASGI app whose HTTP requests know what serves them, and so does every task that they make."""

    def __init__(self, app: App) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Note the running task, and serve the request; one that was ended before its time is answered here."""
        kind, task = scope.get("type"), asyncio.current_task()
        asked = Asked(scope) if kind in _ASKED else None
        _asked.set(asked)
        if task is None or asked is None:
            _served.set(None)
            await self.app(scope, receive, send)
            return
        exchange = None
        if kind == "http":
            exchange = Exchange(Served(ref(task), posted=scope.get("method") == "POST"), asked, receive, send)
            exchange.served.heard_by(exchange)
        _served.set(None if exchange is None else exchange.served)
        try:
            if exchange is None:
                await self.app(scope, receive, _Answer(asked, send).send)
            else:
                await self.app(scope, exchange.receive, exchange.send)
        except (asyncio.CancelledError, Exception):
            if asked.ended is None:
                raise
            await killing.tell(asked.ended, send, exchange)
        finally:
            # LiteLLM's own tasks that the first request has begun keep its context for as long as the worker lives. Up
            # to 1.80 a polled answer is opened when its client has been answered.
            if exchange is None or not exchange.served.polled:
                asked.headers = ()


class _Answer:
    """What a server sends over a WebSocket, with what a refused client should know put into it."""

    __slots__ = ("_asked", "_send", "_telling")

    def __init__(self, asked: Asked, send: Any) -> None:
        self._asked = asked
        self._send = send
        self._telling: Telling | None = None

    def send(self, message: Any) -> Any:
        """Hand *message* on. One that is no refusal's costs one look."""
        if self._asked.refused is None:
            return self._send(message)
        if self._telling is None:
            self._telling = Telling(self._asked.refused, self._send)
        return self._telling.send(message)


def note_tasks(app: Any) -> bool:
    """Have *app*, a Starlette application, note what serves each request, once however often it is called.

    Returns: whether it does from now on; one that has not been built yet may still be built in another way, see
        `is_noted`.

    Raises:
        NotFoundError: what serves its requests is made, or kept, in another way: every request would fail of it.
    """
    stack = app.middleware_stack
    if stack is None:
        build = app.build_middleware_stack
        if not callable(build) or inspect.iscoroutinefunction(build):
            raise NotFoundError("the application builds what serves its requests in another way")
        app.build_middleware_stack = lambda *args, **kwargs: Noted(build(*args, **kwargs))
        return False
    if not isinstance(stack, Noted):
        if not callable(stack):
            raise NotFoundError("what serves the application's requests can't be called")
        app.middleware_stack = noted = Noted(stack)
        if app.middleware_stack is not noted:
            raise NotFoundError("the application keeps what serves its requests elsewhere")
    return True


def is_noted(app: Any) -> bool:
    """Tell of *app*, while it serves a request, whether that is noted."""
    return _asked.get() is not None or isinstance(app.middleware_stack, Noted)


def forget_tasks(app: Any) -> None:
    """Have *app* be served as it was before `note_tasks`; requests that are being served are known to their end."""
    vars(app).pop("build_middleware_stack", None)
    if isinstance(app.middleware_stack, Noted):
        app.middleware_stack = app.middleware_stack.app


def refused(refusal: Refused) -> None:
    """See to it that the client of what is served now is told of *refusal*, whoever makes the answer."""
    if (asked := _asked.get()) is not None:
        asked.refused = refusal


def admitted() -> None:
    """Forget the refusal of the request that is served now: it was asked for once more, for a fallback."""
    if (asked := _asked.get()) is not None:
        asked.refused = None


def streams() -> None:
    """Note that what is served now is answered bit by bit: Gemini's passed-through arrays are `application/json`."""
    if (asked := _asked.get()) is not None:
        asked.streamed = True


def seen_now() -> tuple[Served | None, Asked | None]:
    """Return what is known of what is served now: by its server, and of its client's call."""
    return served_now(), _asked.get()


def goes_on_alone() -> None:
    """Note that LiteLLM works on for the request that is served now when its client has been answered."""
    if (served := _served.get()) is not None:
        served.polled = True


def is_polled() -> bool:
    """Tell whether LiteLLM reads the answer of what is served now by itself: its client is answered already."""
    return (served := _served.get()) is not None and served.polled


def served_now() -> Served | None:
    """Return what serves the request of this code; None where its server has no more to tell of it."""
    served = _served.get()
    if served is None or served.sent_at is not None:
        return None
    task = served.task()
    belongs = task is asyncio.current_task() or (served.posted and task is not None and not task.done())
    return served if belongs else None


def asgi_task() -> ReferenceType[asyncio.Task[Any]] | None:
    """Return a reference to the ASGI task of the POST that is served now; None where none was noted."""
    served = _served.get()
    return served.task if served is not None and served.posted else None


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


def asks_for_the_model(request: Request) -> bool:
    """Tell whether a tool of *request*, whose task is another, asks for the model: MCP's ``sampling/createMessage``.

    LiteLLM calls the pre-call hook for it in a task of its MCP client, and no hook when it is over (1.90 - 1.109,
    mcp_server/sampling_handler.py): a slot of its own would be held until the tool has answered, one for each.
    A pipelined request inherits the context of a call before it, but not its ASGI task.
    """
    return request.calls_tools_in is not None and request.calls_tools_in is asgi_task() and outer_task() is not None
