"""LiteLLM's real limiter, of the version that is installed, with the guard in its seam."""

from __future__ import annotations

import asyncio
import hashlib
import os
import uuid
import warnings
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from litellm_cancel_guard.guard import _PROXY_CancelGuard
from litellm_cancel_guard.host.configured import Configured
from litellm_cancel_guard.lease.lease import Ending
from litellm_cancel_guard.worker import Worker

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")  # otherwise LiteLLM fetches it while it is imported
with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # importing LiteLLM warns of its own dependencies' deprecations
    import litellm.proxy.proxy_server  # noqa: F401


_clients: list[Any] = []


@pytest.fixture(autouse=True)
def taken_out(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Have LiteLLM be what it was: what one test's guard has put into it would serve the streams of all later ones."""
    made: list[Any] = []
    init = _PROXY_CancelGuard.__init__

    def noted(guard: Any) -> None:
        made.append(guard)
        init(guard)

    monkeypatch.setattr(_PROXY_CancelGuard, "__init__", noted)
    yield
    for guard in reversed(made):
        guard._mounts.take_out()


@pytest.fixture(autouse=True)
async def closed() -> AsyncIterator[None]:
    """Close what LiteLLM keeps for its process: collected in a later test, that would fail of their open sockets.

    After the tasks: one that ends with its loop gives its slots back, by a connection of its own.
    """
    yield
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    while _clients:
        await _clients.pop().connection_pool.disconnect(inuse_connections=True)


def _remembered(look_up: Callable[[], Any]) -> Callable[[], Any]:
    """Return what looks a client up and notes it: LiteLLM forgets one after a while, and makes another."""

    def init_async_client() -> Any:
        client = look_up()
        if not any(client is known for known in _clients):
            _clients.append(client)
        return client

    return init_async_client


def new_limiter(redis_port: int | None = None, db: int = 0) -> Any:
    """Return a limiter as the proxy builds it, counting in Redis or in its process."""
    from litellm.caching.caching import DualCache, RedisCache
    from litellm.proxy.hooks.parallel_request_limiter_v3 import _PROXY_MaxParallelRequestsHandler_v3
    from litellm.proxy.utils import InternalUsageCache

    redis_cache = None if redis_port is None else RedisCache(host="127.0.0.1", port=redis_port, db=db)
    if redis_cache is not None:
        redis_cache.init_async_client = _remembered(redis_cache.init_async_client)
    return _PROXY_MaxParallelRequestsHandler_v3(InternalUsageCache(DualCache(redis_cache=redis_cache)))


class Client:
    """One key of the proxy; each request runs in a task of its own, as under an ASGI server."""

    def __init__(self, worker: Worker, limiter: Any, **limits: int | None) -> None:
        from litellm.proxy._types import UserAPIKeyAuth

        self.worker = worker
        self.limiter = limiter
        self.hash = hashlib.sha256(uuid.uuid4().bytes).hexdigest()
        self.auth = UserAPIKeyAuth(api_key=self.hash, **limits)

    @property
    def gauge(self) -> str:
        return f"api_key:{self.hash}"

    async def pre_call(self, data: dict[str, Any] | None = None, call_type: str = "acompletion") -> dict[str, Any]:
        """Run the pre-call chain in the running task, as LiteLLM's proxy does: the guard's hook, then the limiter's."""
        data = data if data is not None else {"model": "gpt", "messages": [{"role": "user", "content": "hi"}]}
        self.worker.open(call_type, guard=None)
        await self.limiter.async_pre_call_hook(user_api_key_dict=self.auth, cache=None, data=data, call_type=call_type)
        return data

    async def request(self, until: asyncio.Event, admitted: asyncio.Event | None = None) -> None:
        await self.pre_call()
        if admitted is not None:
            admitted.set()
        await until.wait()

    async def in_flight(self, until: asyncio.Event) -> asyncio.Task[None]:
        """Start a request and return its task once it is admitted; a refusal is raised."""
        admitted = asyncio.Event()
        task = asyncio.create_task(self.request(until, admitted))
        waiting = asyncio.create_task(admitted.wait())
        await asyncio.wait((task, waiting), return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        if task.done():
            task.result()
        return task

    async def end(self, ending: Ending = Ending.COMPLETED) -> None:
        request = self.worker.guarded_request()
        assert request is not None
        await self.worker.end(request, ending)

    async def held(self) -> int:
        assert self.worker.ledger is not None
        return await self.worker.ledger.gauge.count(self.gauge)

    async def until_held(self, slots: int) -> None:
        """Wait until the gauge stands at *slots*; one that never does fails the test."""
        with anyio.fail_after(2):
            while await self.held() != slots:  # noqa: ASYNC110 - the gauge has no event to wait for
                await asyncio.sleep(0.005)


@pytest.fixture
def attached(monkeypatch: pytest.MonkeyPatch) -> Callable[[Any], Worker]:
    """Return a function that gives a limiter a worker of its own."""

    def attach(limiter: Any) -> Worker:
        monkeypatch.setattr("litellm_cancel_guard.worker.host.find_limiter", lambda: limiter)
        worker = Worker(Configured())
        worker.open("acompletion", guard=None)
        assert worker.ledger is not None
        return worker

    return attach


@pytest.fixture(params=["in process", "redis"])
async def client(request: pytest.FixtureRequest, attached: Callable[[Any], Worker]) -> Callable[..., Awaitable[Client]]:
    """Return a function that makes a client with the limits asked for, on either kind of gauge."""
    port = None if request.param == "in process" else request.getfixturevalue("redis_server").port
    limiter = new_limiter(port)

    async def make(**limits: int | None) -> Client:
        return Client(attached(limiter), limiter, **limits)

    return make
