"""What the guard puts into the proxy's application and beside its routes, changed in each way that makes sense.

What it changes there is served the same with the guard and without it, whatever it finds.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import signal
import sys
from typing import TYPE_CHECKING, Any

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from litellm_cancel_guard.host import mends, serving
from litellm_cancel_guard.host.grafting import Board
from litellm_cancel_guard.host.grafts import GRAFTS
from litellm_cancel_guard.host.mounts import Mounts
from litellm_cancel_guard.host.shutdown import act_last
from litellm_cancel_guard.ledger.registry import Registry
from tests.mutants.stage import Mutant
from tests.mutants.starlettes import APPS
from tests.mutants.uses import now, source

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.mutants.stage import Stage

_NOTING, _POLLED, _PASSED = "tasks.noting", "tasks.polled", "tasks.pass_through"


def mutants() -> Iterator[Mutant]:
    for (target, operator), made in APPS.items():
        yield _mutant(_NOTING, target, operator, functools.partial(_serve, made=made))
    for operator in ("", *_FUNCTIONS):
        yield _mutant(_POLLED, "background_streaming_task", operator or "another client", _polled(operator))
    for operator in (*_FUNCTIONS, *_METHODS):
        yield _mutant(_PASSED, "chunk_processor", operator, functools.partial(_handle, operator=operator))
    for operator in (*_FUNCTIONS, "a property", "takes no attributes"):
        yield _mutant("server.last", "shutdown", operator, functools.partial(_end, operator=operator))
    if hasattr(sys.modules.get("litellm.passthrough.main"), "_async_streaming"):
        for operator in _FUNCTIONS:
            yield _mutant(_PASSED, "_async_streaming", operator, functools.partial(_pass, operator=operator))


def _mutant(graft: str, target: str, operator: str, before: Callable[[Stage], None]) -> Mutant:
    return Mutant(f"{graft}: {target}", operator, before, graft=graft, kind="app")


async def play(stage: Stage, _mutant: Mutant, *, guarded: bool) -> dict[str, Any]:
    """Use what has been changed as LiteLLM does, and tell what came of it."""
    from litellm.proxy import proxy_server

    if "app" not in stage.calls:
        stage.put(proxy_server, "app", Starlette())
    board, noted = Board(GRAFTS), list[bool]()
    stage.calls["noted"] = noted.append
    mounts = Mounts(board, Registry(), stage.calls.get("mount", lambda _: None))
    stage.calls["asked"] = mounts.look
    before = signal.getsignal(signal.SIGTERM)
    try:
        if "handler" in stage.calls:
            signal.signal(signal.SIGTERM, stage.calls["handler"])
        if guarded:
            mounts.put_in()
            act_last(_nothing, board, _given)
        said = await _used(stage)
    finally:
        signal.signal(signal.SIGTERM, before)
        states = {status.graft.name: status.state.value for status in board.statuses()} if guarded else {}
        mounts.take_out()
        mends.take_out(board)
    own = {name: state for name, state in states.items() if name.startswith(("tasks.", "server.", "admin."))}
    return {"said": said, "states": own, "noted": all(noted), "reached": stage.seen.get("reached", True)}


async def _nothing() -> None:
    """What is done last."""


async def _given(grace: float | None) -> None:
    """What is done first."""
    assert grace is None or isinstance(grace, float)


async def _used(stage: Stage) -> str:
    if "use" not in stage.calls:
        return ""
    serving._asked.set(None)
    try:
        return repr(await stage.calls["use"]())
    except Exception as error:
        return f"raises {type(error).__name__}: {error}"[:300]


def _serve(stage: Stage, made: type[Starlette]) -> None:
    from litellm.proxy import proxy_server

    async def home(_: Request) -> PlainTextResponse:
        stage.calls["asked"]()
        stage.calls["noted"](serving._asked.get() is not None)
        return PlainTextResponse("home")

    app = made(routes=[Route("/", home)])

    async def use() -> Any:
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://proxy") as client:
            return [((answer := await client.get("/")).status_code, answer.text) for _ in range(2)]

    stage.put(proxy_server, "app", app)
    stage.calls |= {"app": app, "use": use}


async def _broken(*_: Any, **__: Any) -> Any:
    raise RuntimeError("a mutant")


def _sync(original: Any) -> Any:
    def changed(*args: Any, **kwargs: Any) -> Any:
        return original(*args, **kwargs)

    return changed


def _keyword(original: Any) -> Any:
    def changed(*args: Any, tenant: str, **kwargs: Any) -> Any:
        return original(*args, **kwargs)

    return _as_async_as(original, changed)


def _position(original: Any) -> Any:
    def changed(tenant: str, *args: Any, **kwargs: Any) -> Any:
        return original(*args, **kwargs)

    return _as_async_as(original, changed)


def _as_async_as(original: Any, changed: Any) -> Any:
    async def later(*args: Any, **kwargs: Any) -> Any:
        return await changed(*args, **kwargs)

    return later if inspect.iscoroutinefunction(original) else changed


def _nothing_to_await(_: Any) -> Any:
    return lambda *args, **kwargs: None


_FUNCTIONS: dict[str, Callable[[Any], Any]] = {
    "renamed": lambda original: original,
    "an exception at call": lambda _: _broken,
    "sync for async": _sync,
    "a keyword more": _keyword,
    "an argument more": _position,
    "a partial": functools.partial,
    "nothing to await": _nothing_to_await,
}


def _arguments(operator: str) -> tuple[tuple[str, ...], dict[str, str]]:
    before = ("a tenant",) if operator == "an argument more" else ()
    return before, {"tenant": "a tenant"} if operator == "a keyword more" else {}


def _polled(operator: str) -> Callable[[Stage], None]:
    async def answers(polling_id: str, request: Any = None) -> Any:
        return polling_id, type(request).__name__

    def before(stage: Stage) -> None:
        from litellm.proxy.response_polling import background_streaming as module

        changed = _FUNCTIONS.get(operator, lambda original: original)(answers)
        first, more = _arguments(operator)
        name = "background_streaming_task"
        called = f"{name}_v4" if operator == "renamed" else name
        if operator == "renamed":
            stage.remove(module, name)
        stage.put(module, called, changed)
        client = Request({"type": "http"}) if operator else object()

        async def use() -> Any:
            # As a task of its own, where it can be one.
            return await now(getattr(module, called)(*first, "an id", request=client, **more))

        stage.calls["use"] = use

    return before


def _of_its_instances(original: Any) -> Any:
    return lambda self, *args, **kwargs: original(*args, **kwargs)


def _of_its_class(original: Any) -> Any:
    return classmethod(lambda cls, *args, **kwargs: original(*args, **kwargs))


async def _awaited(original: Any, *args: Any) -> Any:
    return original(*args)


_METHODS: dict[str, Callable[[Any], Any]] = {
    "a method of its instances": _of_its_instances,
    "a class method": _of_its_class,
    "async for sync": lambda original: staticmethod(functools.partial(_awaited, original)),
    "a property": lambda original: property(lambda self: original),
}


async def _read(stream: Any) -> Any:
    stream = await now(stream)
    return stream if stream is None else [chunk async for chunk in stream]


def _handle(stage: Stage, operator: str) -> None:
    from litellm.proxy.pass_through_endpoints import pass_through_endpoints as module

    name = "chunk_processor_v4" if operator == "renamed" else "chunk_processor"
    changed = _METHODS[operator](source) if operator in _METHODS else staticmethod(_FUNCTIONS[operator](source))
    handler = type("PassThroughStreamingHandler", (), {name: changed})
    first, more = _arguments(operator)

    async def use() -> Any:
        kept: Any = module.PassThroughStreamingHandler
        if operator in ("a method of its instances", "a property"):
            kept = kept()
        return await _read(getattr(kept, name)(*first, "a", "b", **more))

    stage.put(module, handler.__name__, handler)
    stage.calls["use"] = use


def _end(stage: Stage, operator: str) -> None:
    """End a server as uvicorn's: its handler of signals is a method."""

    async def shutdown(self: Any) -> str:
        return "shut down"

    def handle_exit(self: Any, *_: Any) -> None:
        """Take a signal."""

    changed = {"a property": property(lambda self: functools.partial(shutdown, self)), "takes no attributes": shutdown}
    kept = changed.get(operator) or _FUNCTIONS[operator](shutdown)
    if operator == "an argument more":
        kept = _after_self(shutdown)
    name = "shutdown_v4" if operator == "renamed" else "shutdown"
    slots = {"__slots__": ()} if operator == "takes no attributes" else {}
    server = type("Server", (), {name: kept, "handle_exit": handle_exit, **slots})()
    first, more = _arguments(operator)

    async def use() -> Any:
        called = getattr(server, name)
        return await now(called(server, **more) if operator == "a partial" else called(*first, **more))

    stage.calls |= {"handler": server.handle_exit, "use": use}


def _after_self(original: Any) -> Any:
    async def changed(self: Any, tenant: str) -> Any:
        return await original(self)

    return changed


def _pass(stage: Stage, operator: str) -> None:
    module = sys.modules["litellm.passthrough.main"]

    async def streams(response: Any) -> Any:
        for chunk in await response:
            yield chunk

    async def response() -> Any:
        await asyncio.sleep(0)
        return "ab"

    first, more = _arguments(operator)
    name = "_async_streaming_v4" if operator == "renamed" else "_async_streaming"
    if operator == "renamed":
        stage.remove(module, "_async_streaming")

    async def use() -> Any:
        return await _read(getattr(module, name)(*first, response(), **more))

    stage.put(module, name, _FUNCTIONS[operator](streams))
    stage.calls["use"] = use
