"""A request is served by its ASGI task and by those that LiteLLM makes, and is over with the last of them."""

from __future__ import annotations

import asyncio
import gc
import weakref
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

import pytest
from starlette.applications import Starlette

from litellm_cancel_guard.host.exchange import Exchange
from litellm_cancel_guard.host.serving import Asked, Served, note_tasks, outer_task, when_served

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

POST = {"type": "http", "method": "POST", "path": "/", "headers": []}
LASTING = [{**POST, "method": "GET"}, {"type": "lifespan"}, {"type": "websocket", "path": "/", "headers": []}]


async def served(app: Callable[..., Awaitable[None]], scope: dict[str, Any] = POST) -> None:
    """As a server does: a task for each request."""

    async def nothing(*_: Any) -> None:
        """Receive and send."""

    await asyncio.create_task(app(dict(scope), nothing, nothing))  # type: ignore[arg-type]
    await asyncio.sleep(0)


def application(serve: Callable[[], Awaitable[None]], *, built: bool) -> Starlette:
    app = Starlette()

    async def endpoint(*_: Any) -> None:
        await serve()

    if built:
        app.middleware_stack = endpoint
    else:
        app.build_middleware_stack = lambda: endpoint  # type: ignore[method-assign]
    return app


@pytest.mark.parametrize("built", [True, False], ids=["an app that runs", "an app that has not begun"])
async def test_a_task_of_a_request_knows_the_one_that_serves_it(built: bool) -> None:
    seen: list[bool] = []

    async def serve() -> None:
        serving = asyncio.current_task()

        async def inner() -> None:
            seen.append(outer_task() is serving)

        seen.append(outer_task() is None)
        await asyncio.create_task(inner())

    app = application(serve, built=built)
    note_tasks(app)
    note_tasks(app)
    await served(app)
    assert seen == [True, True]


@pytest.mark.parametrize("scope", LASTING, ids=["GET", "lifespan", "websocket"])
async def test_a_task_of_what_lasts_for_many_requests_knows_none(scope: dict[str, Any]) -> None:
    """A tool call of an MCP session over SSE would hold its slot until the session ends."""
    seen: list[object] = []

    async def inner() -> None:
        seen.append(outer_task())

    async def serve() -> None:
        await asyncio.create_task(inner())

    app = application(serve, built=True)
    note_tasks(app)
    await served(app, scope)
    assert seen == [None]


async def test_a_task_that_outlives_its_request_knows_none() -> None:
    go_on, left = asyncio.Event(), []

    async def inner() -> None:
        await go_on.wait()
        left.append(outer_task())

    tasks: list[asyncio.Task[None]] = []

    async def serve() -> None:
        tasks.append(asyncio.create_task(inner()))

    app = application(serve, built=True)
    note_tasks(app)
    await served(app)
    go_on.set()
    await tasks[0]
    assert left == [None]


async def test_what_a_request_held_goes_with_it_and_waits_for_no_garbage_collection() -> None:
    class Held:
        """Stands for what LiteLLM and others keep in the context of a request."""

    context: ContextVar[Held] = ContextVar("context")
    left: list[weakref.ref[Held]] = []

    async def serve() -> None:
        held = Held()
        context.set(held)
        left.append(weakref.ref(held))

    app = application(serve, built=True)
    note_tasks(app)
    gc.disable()
    try:
        await served(app)
        assert left[0]() is None
    finally:
        gc.enable()


@pytest.mark.parametrize("last", ["the ASGI task", "the other"])
async def test_what_waits_for_a_request_waits_for_the_last_of_its_tasks(last: str) -> None:
    acted: list[str] = []
    serve_on, go_on = asyncio.Event(), asyncio.Event()
    tasks: list[asyncio.Task[None]] = []

    async def inner() -> None:
        when_served(lambda: acted.append("over"))
        await go_on.wait()

    async def serve() -> None:
        tasks.append(asyncio.create_task(inner()))
        await serve_on.wait()

    app = application(serve, built=True)
    note_tasks(app)
    request = asyncio.create_task(served(app))
    while not tasks:  # noqa: ASYNC110 - one turn or two
        await asyncio.sleep(0)
    first, second = (go_on, serve_on) if last == "the ASGI task" else (serve_on, go_on)
    first.set()
    for _ in range(5):
        await asyncio.sleep(0)
    assert acted == []
    second.set()
    await asyncio.gather(request, *tasks)
    await asyncio.sleep(0)
    assert acted == ["over"]


async def test_without_an_application_the_running_task_is_all_there_is() -> None:
    acted: list[str] = []

    async def alone() -> None:
        assert outer_task() is None
        when_served(lambda: acted.append("over"))

    await asyncio.create_task(alone())
    await asyncio.sleep(0)
    assert acted == ["over"]


class Server:
    """What a client says, a message at a time."""

    def __init__(self) -> None:
        self.said: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.asked = 0

    async def receive(self) -> dict[str, Any]:
        self.asked += 1
        return await self.said.get()


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
async def exchange(server: Server) -> Exchange:
    async def nothing(_: Any) -> None: ...

    task = asyncio.current_task()
    assert task is not None
    return Exchange(Served(weakref.ref(task), posted=True), Asked({}), server.receive, nothing)


async def turns() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_a_client_that_leaves_while_nobody_reads_is_known_and_whoever_reads_then_is_told(
    exchange: Exchange, server: Server
) -> None:
    gone = asyncio.ensure_future(exchange.left())
    await turns()
    server.said.put_nowait({"type": "http.disconnect"})

    assert await asyncio.wait_for(gone, 1)
    assert [await exchange.receive() for _ in range(2)] == [{"type": "http.disconnect"}] * 2


async def test_one_who_reads_meanwhile_is_told_as_well_and_the_server_is_asked_once(
    exchange: Exchange, server: Server
) -> None:
    gone, read = asyncio.ensure_future(exchange.left()), asyncio.ensure_future(exchange.receive())
    await turns()
    assert server.asked == 1
    server.said.put_nowait({"type": "http.disconnect"})

    assert (await gone, await read) == (True, {"type": "http.disconnect"})


async def test_what_is_no_goodbye_is_kept_for_who_reads_next(exchange: Exchange, server: Server) -> None:
    for number in range(2):
        server.said.put_nowait({"type": "http.request", "body": b"%d" % number})

    assert not await exchange.left()
    assert [(await exchange.receive())["body"] for _ in range(2)] == [b"0", b"1"]


async def test_who_looks_when_the_goodbye_was_read_by_another_is_told_though_it_is_said_once(
    exchange: Exchange, server: Server
) -> None:
    server.said.put_nowait({"type": "http.disconnect"})
    await exchange.receive()

    assert await asyncio.wait_for(exchange.left(), 1)


async def test_who_looks_no_more_takes_no_message_along(exchange: Exchange, server: Server) -> None:
    gone = asyncio.ensure_future(exchange.left())
    await turns()
    gone.cancel()
    await turns()
    server.said.put_nowait({"type": "http.request", "body": b"0"})

    assert await exchange.receive() == {"type": "http.request", "body": b"0"}


async def test_who_reads_goes_on_where_the_other_looks_no_more(exchange: Exchange, server: Server) -> None:
    gone = asyncio.ensure_future(exchange.left())
    await turns()
    read = asyncio.ensure_future(exchange.receive())
    await turns()
    gone.cancel()
    await turns()
    server.said.put_nowait({"type": "http.request", "body": b"0"})

    assert await asyncio.wait_for(read, 1) == {"type": "http.request", "body": b"0"}
    server.said.put_nowait({"type": "http.disconnect"})
    assert await exchange.receive() == {"type": "http.disconnect"}
