"""Ends a request before its time, because an operator says so or its server is about to cut it.

Its client is told, its provider hung up on, and then its slot is back.

What has a guarded stream ends in the last event of its protocol. Everything else is cancelled, which no retry and no
fallback of LiteLLM's outlives (1.80 - 1.110: they catch ``Exception``), and answered here, behind LiteLLM.
"""

from __future__ import annotations

import asyncio
import json
import math
import time
from typing import TYPE_CHECKING, Any, Protocol

from litellm_cancel_guard.aio.completion import begin
from litellm_cancel_guard.aio.inside import task_inside
from litellm_cancel_guard.lease.keyname import shown
from litellm_cancel_guard.lease.lease import Ending
from litellm_cancel_guard.redaction.plain import plain
from litellm_cancel_guard.redaction.records import log
from litellm_cancel_guard.terminal.events import plain_error, whole_error
from litellm_cancel_guard.terminal.failure import Failure
from litellm_cancel_guard.terminal.routes import protocol_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from litellm_cancel_guard.host.closing import Closer
    from litellm_cancel_guard.ledger.registry import Registry, Request

    Send = Callable[[Any], Awaitable[Any]]

# 503 is asked again for a bounded number of times by all, and by the official SDKs not at all where the header says so.
KILLED = Failure(503, "This request was ended by an operator of the proxy.", final=True)
RESTARTING = Failure(503, "The proxy is being restarted; ask again.", retry_after=1.0)
# Of a WebSocket: 1012 and 1013 have its client come back (RFC 6455, 7.4.1, and IANA's registry).
_POLICY, _SERVICE_RESTART = 1008, 1012
# A cancellation may be lost (redis-py); who asks again after so many seconds has it sent again.
_AGAIN_SECONDS = 5.0
_LONGEST_NAME = 100


class EndedError(Exception):
    """Raised to the server, which cuts a connection on which no error can be told any more."""


class Killing:
    """One per worker.

    Args:
        end_soon: gives the slot of a request back.
    """

    def __init__(self, registry: Registry, end_soon: Callable[[Request, Ending], object]) -> None:
        self._registry = registry
        self._end_soon = end_soon

    def kill(self, slot: str, by: str) -> bool | None:
        """End the request that holds *slot*, as *by* has asked.

        Returns:
            Whether one holds it here; None where one does that can't be ended yet.
        """
        request = self._registry.holder(slot)
        if request is None:
            return False
        if self._registry.is_to_end(request, Ending.KILLED, again=_AGAIN_SECONDS):
            log.warning(
                "cancel_guard: ended by hand: slot %s, key %s, route %s, held for %.1f s; asked for by %s",
                slot,
                shown(request.gauge),
                request.route,
                time.monotonic() - request.opened_at,
                plain(by)[:_LONGEST_NAME],
            )
            if not self._end(request, KILLED):
                return None
        return True

    def drain(self) -> int:
        """End every request that holds a slot here and whose client can be told; return how many that are."""
        ended = 0
        for _, request in list(self._registry.leases()):
            if _may_be_told(request) and self._registry.is_to_end(request, Ending.DRAINED, again=_AGAIN_SECONDS):
                ended += self._end(request, RESTARTING)
        return ended

    def _end(self, request: Request, failure: Failure) -> bool:
        if request.closer is not None:
            task = None if request.stream is None else task_inside(request.stream())
            request.closer.stop(failure, task)
            if task is None:
                # Its client reads slowly or not at all: it is told when it asks for more, and the slot does not wait.
                begin(self._close, request, request.closer)
            return True
        served = None if request.served is None else request.served.task()
        tasks = [served] if served is not None and not served.done() else self._registry.tasks_of(request)
        if not tasks:
            # LiteLLM works on behind an answer that its client polls for, and its provider has not begun one.
            log.warning("cancel_guard: what serves that request is not known, and goes on")
            self._registry.goes_on(request)
            return False
        if request.asked is not None:
            request.asked.end(request.route, failure)
        for task in tasks:
            task.cancel()
        return True

    async def _close(self, request: Request, closer: Closer) -> None:
        await closer.close()
        self._end_soon(request, request.to_end_as or Ending.KILLED)


def _may_be_told(request: Request) -> bool:
    # What LiteLLM passes through in no protocol can only be cut, which its server does, and later.
    exchange = request.served and request.served.exchange and request.served.exchange()
    return (
        request.closer is not None or protocol_of(request.route, None) is not None or not (exchange and exchange.start)
    )


class Answered(Protocol):
    """How far the answer to an HTTP request has come.

    Attributes:
        start: the message that began it; None before that.
        served: tells when its last message was sent.
    """

    start: Any
    served: Any


async def tell(ended: tuple[str, Failure], send: Send, answered: Answered | None) -> None:
    """Tell a client that its request was ended before its time; LiteLLM's application has left it.

    Args:
        ended: LiteLLM's call type, and what the client is told.
        send: the server's.
        answered: None for a WebSocket.

    Raises:
        EndedError: the answer had begun, in no protocol that could tell it.
    """
    # Where the ASGI task is the one that was cancelled, and not one that it waits for.
    task: Any = asyncio.current_task()
    if getattr(task, "cancelling", int)():
        task.uncancel()
    if answered is None:
        code = _POLICY if ended[1].final else _SERVICE_RESTART
        await send({"type": "websocket.close", "code": code, "reason": ended[1].message})
    elif answered.served.sent_at is None:
        await _end_answer(*ended, answered.start, send)


async def _end_answer(route: str, failure: Failure, start: Any, send: Send) -> None:
    protocol = protocol_of(route, None)
    if start is None:
        body = json.dumps(plain_error(protocol, failure)).encode()
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": failure.status, "headers": [*headers, _again(failure)]})
    elif protocol is not None and _is_stream(start):
        body = whole_error(protocol, failure).encode()
    else:
        raise EndedError(failure.message)
    await send({"type": "http.response.body", "body": body})


def _again(failure: Failure) -> tuple[bytes, bytes]:
    if failure.final or failure.retry_after is None:
        return b"x-should-retry", b"false"
    return b"retry-after", str(math.ceil(failure.retry_after)).encode()


def _is_stream(start: Any) -> bool:
    return any(name.lower() == b"content-type" and b"event-stream" in value for name, value in start["headers"])
