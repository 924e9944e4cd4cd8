"""What a test can ask of a worker at /_probe, and the mishaps that a request can order: `[[... proxy=after]]`."""

from __future__ import annotations

import asyncio
import gc
import os
import re
from collections import Counter
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import litellm
import redis.asyncio.connection
from fastapi import HTTPException
from litellm.integrations.custom_logger import CustomLogger
from litellm.proxy.proxy_server import app, proxy_logging_obj
from starlette.responses import JSONResponse
from starlette.routing import Route

# What runs for as long as the worker does.
LASTING = ("heartbeat.py", "reload.py")
# A list, so that whoever reads first takes the task out for all copies of the context.
_cancel_at_read: ContextVar[list[asyncio.Task[Any]]] = ContextVar("cancel_at_read")


def ordered(data: Any) -> str:
    """What the request asks the proxy to do to it."""
    found = re.search(r"\[\[run=[^\]]*\bproxy=(\w+)", str(data))
    return found[1] if found else ""


class Late(CustomLogger):
    """Added while the proxy runs, as a guardrail from the database: its pre-call hook comes after the limiter's."""

    async def async_pre_call_hook(self, user_api_key_dict: Any, cache: Any, data: Any, call_type: str) -> None:
        if ordered(data) == "after":
            raise HTTPException(400, "refused after the limiter")
        if ordered(data) == "after_fault":
            raise ValueError("a guardrail's own fault")


class Probe(CustomLogger):
    """At the first request it takes its places: behind the limiter, around it, and in the way of Redis' answers."""

    def __init__(self) -> None:
        super().__init__()
        self._placed = False

    async def async_pre_call_hook(self, user_api_key_dict: Any, cache: Any, data: Any, call_type: str) -> None:
        if not self._placed:
            self._placed = True
            litellm.callbacks.append(Late())
            limiter = proxy_logging_obj.get_proxy_hook("parallel_request_limiter")
            _mark_requests(limiter)
            _cancel_at_answers()
            _cancel_at_the_store(getattr(limiter, "rate_limits", None))


def _mark_requests(limiter: Any) -> None:
    original = limiter.async_pre_call_hook

    async def async_pre_call_hook(*args: Any, **kwargs: Any) -> Any:
        task = asyncio.current_task()
        if task is not None and ordered(kwargs.get("data")) == "cancel_in_redis":
            _cancel_at_read.set([task])
        return await original(*args, **kwargs)

    limiter.async_pre_call_hook = async_pre_call_hook


def _cancel_at_answers() -> None:
    connection = redis.asyncio.connection.AbstractConnection
    original = connection.read_response

    async def read_response(self: Any, *args: Any, **kwargs: Any) -> Any:
        marked = _cancel_at_read.get(None)
        if marked:
            marked.pop().cancel()
        return await original(self, *args, **kwargs)

    setattr(connection, "read_response", read_response)  # noqa: B010 - mypy minds the assignment


def _cancel_at_the_store(store: Any) -> None:
    """From 1.110 on LiteLLM takes its slots by a client of its own, in Rust: no answer of redis-py's comes."""
    if store is None:
        return
    original = store.parallel_acquire

    def parallel_acquire(*args: Any, **kwargs: Any) -> Any:
        if marked := _cancel_at_read.get(None):
            # Once the command is on its way.
            asyncio.get_running_loop().call_soon(marked.pop().cancel)
        return original(*args, **kwargs)

    store.parallel_acquire = parallel_acquire


async def report(request: Any) -> JSONResponse:
    """What the guard of this worker holds, and how many tasks it still has besides its heartbeat."""
    guards = [callback for callback in litellm.callbacks if type(callback).__name__ == "_PROXY_CancelGuard"]
    held: dict[str, int] = {}
    for guard in guards:
        for lease, _ in guard._worker.registry.leases():
            held[lease.gauge] = held.get(lease.gauge, 0) + 1
    requests = sum(len(guard._worker.registry) for guard in guards)
    found: dict[str, Any] = {"pid": os.getpid(), "requests": requests, "held": held, "at_work": _tasks_of_the_guard()}
    if "objects" in request.query_params:
        found["objects"] = _objects_of_the_guard()
    return JSONResponse({**found, "callbacks": [type(callback).__name__ for callback in litellm.callbacks]})


def _tasks_of_the_guard() -> int:
    codes = [getattr(task.get_coro(), "cr_code", None) for task in asyncio.all_tasks()]
    files = [code.co_filename for code in codes if code is not None]
    return sum("litellm_cancel_guard" in file and Path(file).name not in LASTING for file in files)


def _objects_of_the_guard() -> Counter[str]:
    gc.collect()
    kinds = Counter(map(type, gc.get_objects()))
    # Some libraries have classes whose module is no text.
    ours = {kind: count for kind, count in kinds.items() if str(kind.__module__).startswith("litellm_cancel_guard")}
    return Counter({kind.__qualname__: count for kind, count in ours.items()})


app.router.routes.insert(0, Route("/_probe", report))
probe = Probe()
