"""A server's end, and the guard's own routes, on ground that has changed in each way that makes sense."""

from __future__ import annotations

import functools
import operator as functions
import signal
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import httpx
from fastapi import FastAPI
from starlette.requests import Request  # noqa: TC002 - FastAPI reads it

from tests.mutants.stage import Mutant

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.mutants.stage import Stage

_LAST, _ROUTES = "server.last", "admin.routes"
_SHOWN = "/cancel_guard/slots"
_NOT_LET_IN = {401, 403, 404, 405, 422}


def mutants() -> Iterator[Mutant]:
    for operator, config in _CONFIGS.items():
        yield _mutant(_LAST, "config", operator, functools.partial(_uvicorn, config=config))
    for operator, handler in _HANDLERS.items():
        yield _mutant(_LAST, "the signal's handler", operator, functools.partial(_told, make=handler))
    for operator, add in _ADDING.items():
        yield _mutant(_ROUTES, "add_api_route", operator, functools.partial(_mounted, add=add))
    for operator, change in _AUTHENTICATION.items():
        yield _mutant(_ROUTES, "user_api_key_auth", operator, functools.partial(_mounted, asks=change))


def _mutant(graft: str, target: str, operator: str, before: Callable[[Stage], None]) -> Mutant:
    return Mutant(f"{graft}: {target}", operator, before, graft=graft, kind="app")


class _Raises:
    @property
    def timeout_graceful_shutdown(self) -> Any:
        raise RuntimeError("a mutant")


_CONFIGS: dict[str, Any] = {
    "None": None,
    "renamed": SimpleNamespace(grace=30),
    "a text": SimpleNamespace(timeout_graceful_shutdown="30"),
    "a method": SimpleNamespace(timeout_graceful_shutdown=lambda: 30),
    "another number": SimpleNamespace(timeout_graceful_shutdown=-1),
    "no number": SimpleNamespace(timeout_graceful_shutdown=float("nan")),
    "an exception at call": _Raises(),
}


def _uvicorn(stage: Stage, config: Any) -> None:
    """A server that ends as uvicorn's, whose settings are others."""

    class Server:
        def __init__(self) -> None:
            self.config = config

        async def shutdown(self) -> str:
            return "shut down"

        def handle_exit(self, *_: Any) -> None:
            """Take a signal."""

    server: Any = Server()

    async def use() -> Any:
        return await server.shutdown()

    stage.calls |= {"handler": server.handle_exit, "use": use}


class _Slotted:
    __slots__ = ("told",)

    def __init__(self, told: list[Any]) -> None:
        self.told = told

    def __call__(self, number: int, _: Any) -> None:
        self.told.append(number)


class _Sync:
    """A server that shuts down at once."""

    def __init__(self, told: list[Any]) -> None:
        self.told = told

    def shutdown(self) -> None:
        """Shut down."""

    def handle_exit(self, number: int, _: Any) -> None:
        self.told.append(number)


class _Unasked(_Sync):
    @property
    def shutdown(self) -> Any:
        raise RuntimeError("a mutant")


def _of_c(told: list[Any]) -> Any:
    told.append("of C")
    return functions.is_not


_HANDLERS: dict[str, Callable[[list[Any]], Any]] = {
    "a function": lambda told: lambda number, _: told.append(number),
    "a partial": lambda told: functools.partial(lambda told, number, _: told.append(number), told),
    "takes no attributes": _Slotted,
    "no signature": _of_c,
    "sync for async": lambda told: _Sync(told).handle_exit,
    "an exception at call": lambda told: _Unasked(told).handle_exit,
}


def _told(stage: Stage, make: Callable[[list[Any]], Any]) -> None:
    """A server of another kind, which takes the signal by a handler of another kind."""
    told: list[Any] = []

    async def use() -> Any:
        handler: Any = signal.getsignal(signal.SIGTERM)
        handler(signal.SIGTERM, None)
        return [str(number) for number in told]

    stage.calls |= {"handler": make(told), "use": use}


def _as_ever(app: Any, *args: Any, **kwargs: Any) -> None:
    FastAPI.add_api_route(app, *args, **kwargs)


def _more(app: Any, *args: Any, tenant: str, **kwargs: Any) -> None:
    FastAPI.add_api_route(app, *args, **kwargs)


def _unknown(app: Any, path: str, endpoint: Any, *, methods: Any = None) -> None:
    FastAPI.add_api_route(app, path, endpoint, methods=methods)


async def _later(app: Any, *args: Any, **kwargs: Any) -> None:
    FastAPI.add_api_route(app, *args, **kwargs)


def _broken(app: Any, *_: Any, **__: Any) -> None:
    raise RuntimeError("a mutant")


def _only_one(app: Any, *args: Any, **kwargs: Any) -> None:
    if any(getattr(route, "path", None) == _SHOWN for route in app.routes):
        raise RuntimeError("a mutant")
    FastAPI.add_api_route(app, *args, **kwargs)


def _nowhere(app: Any, *_: Any, **__: Any) -> None:
    """Take it, and keep it nowhere."""


_ADDING: dict[str, Any] = {
    "any order": _as_ever,
    "renamed": None,
    "a keyword more": _more,
    "a keyword less": _unknown,
    "async for sync": _later,
    "an exception at call": _broken,
    "one exception": _only_one,
    "nothing kept": _nowhere,
    "a property": property(lambda self: functools.partial(_as_ever, self)),
}


async def _key(request: Request) -> Any:
    """Say who asks, as LiteLLM does: by an object with a role."""
    return SimpleNamespace(user_role=request.headers.get("role"), user_id=None, key_alias=None)


def _in_dict(key: Any) -> Any:
    async def asked(request: Request) -> Any:
        return vars(await key(request))

    return asked


def _in_pair(key: Any) -> Any:
    async def asked(request: Request) -> Any:
        return (await key(request), "why")

    return asked


def _nobody(_: Any) -> Any:
    async def asked(request: Request) -> Any:
        return None

    return asked


def _with_roles(key: Any) -> Any:
    async def asked(request: Request) -> Any:
        found = await key(request)
        found.user_role = [found.user_role]
        return found

    return asked


def _without_fastapi(key: Any) -> Any:
    async def asked(connection: Any) -> Any:
        return await key(connection)

    return asked


_AUTHENTICATION: dict[str, Any] = {
    "renamed": None,
    "a dict": _in_dict,
    "a pair": _in_pair,
    "nobody": _nobody,
    "another type": _with_roles,
    "an argument more": _without_fastapi,
    "no method": lambda _: "by its name",
}


def _mounted(stage: Stage, add: Any = _as_ever, asks: Callable[[Any], Any] = lambda key: key) -> None:
    """A proxy's application with the guard's routes, where another adds them, or says who asks."""
    from litellm.proxy import proxy_server
    from litellm.proxy.auth import user_api_key_auth as module

    from litellm_cancel_guard.operator.admin import mount

    name = "user_api_key_auth"
    if asks is None:
        stage.remove(module, name)
    else:
        stage.put(module, name, asks(_key))
    app: Any = type("App", (FastAPI,), {} if add is None else {"add_api_route": add})()

    async def home() -> str:
        return "home"

    FastAPI.add_api_route(app, "/", home)
    if add is None:
        _without(stage, app)
    worker: Any = SimpleNamespace(settings=SimpleNamespace(admin_routes=True), survey=None, attach_once=lambda _: None)

    async def use() -> Any:
        transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://proxy") as client:
            answer = await client.get("/")
            asked = {role: (await client.get(_SHOWN, headers={"role": role})).status_code for role in _ROLES}
        stage.seen["reached"] = asked["proxy_admin"] != 404
        return answer.status_code, answer.text, "open" if asked["internal_user"] not in _NOT_LET_IN else "closed"

    stage.put(proxy_server, "app", app)
    stage.calls |= {"app": app, "mount": lambda where: mount(where, worker, None), "use": use}


_ROLES = ("proxy_admin", "internal_user")


def _without(stage: Stage, app: Any) -> None:
    """An application that has no such method, as its class has not."""

    class Without(type(app)):  # type: ignore[misc]
        def __getattribute__(self, name: str) -> Any:
            if name == "add_api_route":
                raise AttributeError(name)
            return super().__getattribute__(name)

    app.__class__ = Without
