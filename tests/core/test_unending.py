"""A web server whose ``send()`` never returns can't keep a slot: what it was handed and what it said is enough."""

from __future__ import annotations

import asyncio
import gc
import weakref
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from litellm_cancel_guard.host import exchange, serving, timeouts
from litellm_cancel_guard.lease.lease import Ending
from litellm_cancel_guard.ledger.ledger import Ledger
from litellm_cancel_guard.ledger.registry import Registry, Request
from litellm_cancel_guard.settings import Settings
from tests.core.scripted import KEY, ScriptedGauge, quiet

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

LEASE = 30.0
LONGEST = timeouts.PASS_THROUGH_SECONDS
DAYS = 1e6

SCOPE = {"type": "http", "method": "POST", "path": "/", "headers": []}
START = {"type": "http.response.start", "status": 200, "headers": [(b"x-mine", b"1")]}
CHUNK = {"type": "http.response.body", "body": b"chunk", "more_body": True}
LAST = {"type": "http.response.body", "body": b"last"}
GONE = {"type": "http.disconnect"}


class Clock:
    """Both modules' monotonic clock."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    for module in (serving, exchange):
        monkeypatch.setattr(module, "time", clock)
    return clock


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """LiteLLM waits for 600 s at most: its own default is 6000."""
    monkeypatch.setattr(timeouts, "sys", SimpleNamespace(modules={}))


class Server:
    """An ASGI server that takes every message, and of one kind never says that it is out."""

    def __init__(self, stuck_at: Any = LAST) -> None:
        self.stuck_at = stuck_at
        self.sent: list[Any] = []
        self.stuck = asyncio.Event()

    async def receive(self) -> Any:
        return GONE

    async def send(self, message: Any) -> None:
        self.sent.append(message)
        if message is self.stuck_at:
            self.stuck.set()
            await asyncio.Event().wait()


class Worker:
    """A ledger, and requests that are served through the noted application, each in a task of its own."""

    def __init__(self, gauge: ScriptedGauge) -> None:
        self.gauge = gauge
        self.ended: list[Request] = []
        self.ledger = Ledger(Registry(self._task_ended), gauge, Settings(lease_seconds=LEASE, redis_timeout=5))
        self.tasks: list[asyncio.Task[None]] = []
        self.requests: list[Request] = []

    def _task_ended(self, request: Request) -> None:
        self.ended.append(request)
        self.ledger.end_soon(request, Ending.TASK_ENDED)

    async def admit(self) -> Request:
        """What the pre-call hook and the limiter do."""
        task = asyncio.current_task()
        assert task is not None
        request = self.ledger.registry.open(task, "pass_through_endpoint", serving.outer_task())
        request.served = request.served or serving.served_now()
        await self.ledger.admit(request, KEY, 9)
        self.requests.append(request)
        return request

    def serve(self, app: Callable[..., Awaitable[None]], server: Server, scope: dict[str, Any] = SCOPE) -> None:
        async def run() -> None:
            await serving.Noted(app)(dict(scope), server.receive, server.send)

        self.tasks.append(asyncio.create_task(run()))

    async def held(self) -> int:
        """Beat once, and tell how many slots are held then."""
        await self.ledger.renew()
        await quiet(self.ledger)
        return len(self.gauge.slots)


@pytest.fixture
def worker(gauge: ScriptedGauge) -> Iterator[Worker]:
    worker = Worker(gauge)
    yield worker
    for task in worker.tasks:
        task.cancel()


def answering(worker: Worker, *messages: Any, says_gone: bool = False) -> Callable[..., Awaitable[None]]:
    async def app(_: Any, receive: Any, send: Any) -> None:
        await worker.admit()
        if says_gone:
            await receive()
        for message in messages:
            await send(message)

    return app


async def test_a_last_message_that_is_never_out_holds_a_slot_for_one_lease_more(worker: Worker, clock: Clock) -> None:
    server = Server()
    worker.serve(answering(worker, START, LAST), server)
    await server.stuck.wait()
    clock.now += LEASE - 1
    assert await worker.held() == 1
    clock.now += 1

    assert await worker.held() == 0
    assert worker.requests[0].ending is Ending.LAPSED
    assert (len(worker.ledger.registry), worker.ended) == (0, worker.requests)


async def test_a_task_that_nothing_will_wake_is_not_kept_from_the_garbage_collector(
    worker: Worker, clock: Clock
) -> None:
    server = Server()
    worker.serve(answering(worker, START, LAST), server)
    await server.stuck.wait()
    clock.now += LEASE
    await worker.held()
    task = weakref.ref(worker.tasks.pop())
    await asyncio.sleep(0)
    asyncio.get_running_loop().set_exception_handler(lambda *_: None)
    gc.collect()
    assert task() is None


async def test_one_that_had_given_its_slot_back_is_forgotten_and_is_no_lapse(worker: Worker, clock: Clock) -> None:
    server = Server()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await worker.ledger.end(await worker.admit(), Ending.COMPLETED)
        await send(LAST)

    worker.serve(app, server)
    await server.stuck.wait()
    clock.now += LEASE
    assert (await worker.held(), len(worker.ledger.registry)) == (0, 0)
    assert (worker.requests[0].ending, worker.gauge.releases) == (Ending.COMPLETED, 1)


async def test_one_that_ends_after_all_gives_nothing_back_twice(worker: Worker, clock: Clock) -> None:
    server = Server()
    worker.serve(answering(worker, START, LAST), server)
    await server.stuck.wait()
    clock.now += LEASE
    await worker.held()
    worker.tasks[0].cancel()
    await asyncio.wait(worker.tasks)
    await asyncio.sleep(0)
    assert (worker.gauge.releases, worker.ended) == (1, worker.requests)


async def test_a_client_that_reads_slowly_keeps_its_slot_for_as_long_as_there_is_more(
    worker: Worker, clock: Clock
) -> None:
    """The provider still has its request: another in its place would be one above the cap."""
    server = Server(CHUNK)
    worker.serve(answering(worker, START, CHUNK), server)
    await server.stuck.wait()
    clock.now += DAYS
    assert await worker.held() == 1


async def test_one_whose_client_is_gone_ends_with_the_longest_call_to_a_provider(worker: Worker, clock: Clock) -> None:
    server = Server(CHUNK)
    worker.serve(answering(worker, START, CHUNK, says_gone=True), server)
    await server.stuck.wait()
    clock.now += LONGEST - 1
    assert await worker.held() == 1
    clock.now += 1
    assert await worker.held() == 0
    assert (worker.requests[0].ending, worker.ended) == (Ending.LAPSED, worker.requests)


async def test_a_polled_answer_goes_on_without_its_client(worker: Worker, clock: Clock) -> None:
    server = Server()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await answering(worker, START, says_gone=True)(scope, receive, send)
        await asyncio.create_task(work())
        await send(LAST)

    async def work() -> None:
        serving.goes_on_alone()

    worker.serve(app, server)
    await server.stuck.wait()
    clock.now += DAYS
    assert await worker.held() == 1


async def test_what_reads_the_provider_in_another_task_is_waited_for(worker: Worker, clock: Clock) -> None:
    server, done = Server(), asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        request = await worker.admit()
        reading = asyncio.create_task(read())
        worker.ledger.registry.last(request, reading)
        worker.tasks.append(reading)
        await send(LAST)

    async def read() -> None:
        await done.wait()

    worker.serve(app, server)
    await server.stuck.wait()
    clock.now += LEASE
    assert await worker.held() == 1
    done.set()
    await worker.tasks[-1]
    assert await worker.held() == 0


async def test_one_that_its_server_has_let_go_of_lasts_as_long_as_its_other_task(worker: Worker, clock: Clock) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        opened = asyncio.Event()

        async def work() -> None:
            await worker.admit()
            opened.set()
            await asyncio.Event().wait()

        worker.tasks.append(asyncio.create_task(work()))
        await opened.wait()
        await send(LAST)

    worker.serve(app, Server(stuck_at=None))
    await worker.tasks[0]
    clock.now += DAYS
    assert await worker.held() == 1


async def test_what_begins_when_the_answer_is_out_is_not_bound_by_it(worker: Worker, clock: Clock) -> None:
    """As a tool call of an MCP session, which lives in the context of the request that began the session."""
    calls = asyncio.Event()

    async def session() -> None:
        await calls.wait()
        await worker.admit()
        await asyncio.Event().wait()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        worker.tasks.append(asyncio.create_task(session()))
        await send(LAST)

    server = Server()
    worker.serve(app, server)
    await server.stuck.wait()
    calls.set()
    while not worker.requests:  # noqa: ASYNC110 - some turns
        await asyncio.sleep(0)
    clock.now += DAYS
    assert await worker.held() == 1


async def test_a_session_over_websocket_is_not_bound(worker: Worker, clock: Clock) -> None:
    server = Server(stuck_at=(last := {"type": "websocket.send", "text": "x"}))
    worker.serve(answering(worker, last, says_gone=True), server, {"type": "websocket", "path": "/", "headers": []})
    await server.stuck.wait()
    clock.now += DAYS
    assert (await worker.held(), worker.requests[0].served) == (1, None)
