"""What the guard mends of LiteLLM's streams and answers, changed in each way that makes sense; played with valid input.

A whole stream, and a healthy answer, are the same with the guard and without it, whatever the mend finds there.
"""

from __future__ import annotations

import functools
import inspect
import re
from importlib import import_module
from typing import TYPE_CHECKING, Any

from litellm_cancel_guard.host import mends
from litellm_cancel_guard.host.grafting import Board
from litellm_cancel_guard.host.grafts import GRAFTS
from litellm_cancel_guard.redaction import Redaction, use
from litellm_cancel_guard.settings import Settings
from litellm_cancel_guard.terminal import sighting
from tests.mutants import readers
from tests.mutants.stage import Mutant
from tests.mutants.uses import TARGETS, Target, now

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.mutants.stage import Stage


# Python itself calls these, by these names.
_OF_NO_PROTOCOL = {
    "__init__": ("renamed",),
    "__anext__": ("renamed", "a keyword more", "an argument more"),
    "__del__": ("its stream renamed",),
}


# Changed alone, what calls it from inside would break of it, guarded or not.
_WITH_ITS_CALLERS = ("renamed", "a keyword more", "an argument more", "async for sync", "another return type")


class Call:
    """How LiteLLM calls it now."""

    def __init__(self, target: Target, operator: str) -> None:
        self._name = f"{target.name}_v4" if operator == "renamed" else target.name
        self._before = ("a tenant",) if operator == "an argument more" else ()
        self._more: dict[str, Any] = {"tenant": "a tenant"} if operator == "a keyword more" else {}
        self._boxed = operator == "another return type"

    def __call__(self, owner: Any, *args: Any, **kwargs: Any) -> Any:
        return self._opened(getattr(owner, self._name)(*self._before, *args, **kwargs, **self._more))

    def of_class(self, made: Any, *args: Any, **kwargs: Any) -> Any:
        return made(*self._before, *args, **kwargs, **self._more)

    def _opened(self, answer: Any) -> Any:
        if not self._boxed:
            return answer
        if not inspect.isawaitable(answer):
            return answer[0]

        async def opened() -> Any:
            return (await answer)[0]

        return opened()


def _changes(  # noqa: C901 - one function for each operator
    original: Any, *, is_init: bool, of_class: bool
) -> Iterator[tuple[str, Any]]:
    asynchronous = inspect.iscoroutinefunction(original)

    def broken(*_: Any, **__: Any) -> Any:
        raise RuntimeError("a mutant")

    async def broken_later(*_: Any, **__: Any) -> Any:
        raise RuntimeError("a mutant")

    def passes_on(*args: Any, **kwargs: Any) -> Any:
        return original(*args, **kwargs)

    async def passes_on_later(*args: Any, **kwargs: Any) -> Any:
        return await now(original(*args, **kwargs))

    def keyword(*args: Any, tenant: Any, **kwargs: Any) -> Any:
        return original(*args, **kwargs)

    def position(first: Any, *args: Any, **kwargs: Any) -> Any:
        return original(first, *args[1:], **kwargs) if of_class else original(*args, **kwargs)

    def moved(self: Any, *args: Any, **kwargs: Any) -> None:
        original(self, *args, **kwargs)
        vars(self)["completion_stream_v4"] = vars(self).pop("completion_stream")

    async def moved_later(self: Any, *args: Any, **kwargs: Any) -> Any:
        fetched = await original(self, *args, **kwargs)
        vars(self)["completion_stream_v4"] = vars(self).pop("completion_stream")
        return fetched

    def boxed(*args: Any, **kwargs: Any) -> Any:
        return (original(*args, **kwargs),)

    async def boxed_later(*args: Any, **kwargs: Any) -> Any:
        return (await original(*args, **kwargs),)

    def later(change: Any) -> Any:
        async def changed(*args: Any, **kwargs: Any) -> Any:
            return await change(*args, **kwargs)

        return changed if asynchronous else change

    yield "renamed", None
    yield "an exception at call", broken_later if asynchronous else broken
    yield "sync for async" if asynchronous else "any arguments", passes_on
    yield "a keyword more", later(keyword)
    yield "an argument more", later(position)
    if "CustomStreamWrapper" in original.__qualname__:
        yield "its stream renamed", moved_later if asynchronous else moved
    if not is_init:
        yield "async for sync" if not asynchronous else "any arguments", passes_on_later
        yield "another return type", boxed_later if asynchronous else boxed
    if of_class and not is_init:
        yield "a property", property(lambda self: functools.partial(original, self))
        yield "a partial", functools.partialmethod(original)
    if not of_class:
        yield "a partial", functools.partial(original)


def mutants() -> Iterator[Mutant]:
    for target in (*TARGETS, *readers.TARGETS):
        try:
            original = vars(target.holder()).get(target.name)
        except (ModuleNotFoundError, AttributeError):
            continue
        static = isinstance(original, staticmethod)
        original = original.__func__ if static else original
        if not inspect.isfunction(original):
            continue
        is_init, of_class = target.name == "__init__", target.owner is not None and not static
        named = f"{target.owner or target.module.rpartition('.')[2]}.{target.name}"
        for operator, value in _changes(original, is_init=is_init, of_class=of_class):
            if operator in (*_OF_NO_PROTOCOL.get(target.name, ()), *(_WITH_ITS_CALLERS if target.inside else ())):
                continue
            before = functools.partial(_put, target=target, operator=operator, value=value)
            yield Mutant(f"{target.graft}: {named}", operator, before, graft=target.graft, kind="stream")
        if of_class and target.owner != "AsyncStream":  # generic: Python itself sets its attributes
            frozen = functools.partial(_freeze, target=target)
            yield Mutant(f"{target.graft}: {named}", "takes no attributes", frozen, graft=target.graft, kind="stream")
    yield from readers.mutants()


def _put(stage: Stage, target: Target, operator: str, value: Any) -> None:
    holder = target.holder()
    stage.calls["stream"] = functools.partial(target.use, call=Call(target, operator))
    stage.calls["holder"] = target.holder
    if operator == "renamed":
        stage.put(holder, f"{target.name}_v4", vars(holder)[target.name])
        stage.remove(holder, target.name)
    else:
        static = isinstance(vars(holder).get(target.name), staticmethod)
        stage.put(holder, target.name, staticmethod(value) if static else value)


def _freeze(stage: Stage, target: Target) -> None:
    class Frozen(type(target.holder())):  # type: ignore[misc]
        def __setattr__(cls, name: str, value: Any) -> None:
            raise TypeError(f"cannot set {name!r} attribute of immutable type {cls.__name__!r}")

    holder = target.holder()
    stage.calls["stream"] = functools.partial(target.use, call=Call(target, ""))
    stage.calls["holder"] = target.holder
    immutable = Frozen(holder.__name__, (holder,), {"__module__": holder.__module__})
    stage.put(import_module(target.path), target.owner or "", immutable)


async def play(stage: Stage, _mutant: Mutant, *, guarded: bool) -> dict[str, Any]:
    """Use what has been changed as LiteLLM does, and tell what came of it."""
    board = Board(GRAFTS)
    if guarded:
        mends.mend(Settings(), board)
        mends.mend_entrance(board)
        mends.mend_agents(board)
        seen = sighting.begin("/chat/completions")
        seen.delay = seen.retry_after = 3.0
    try:
        said = await _used(stage) if stage.calls else ""
        return {"said": said, "states": _states(board) if guarded else {}}
    finally:
        mends.take_out(board)
        use(Redaction())


async def _used(stage: Stage) -> str:
    try:
        said = repr(await stage.calls["stream"](stage.calls["holder"]()))[:2000]
        return re.sub(r"msg_[\w-]+|0x[0-9a-f]+", "", said)
    except Exception as error:
        return f"raises {type(error).__name__}: {error}"[:300]


def _states(board: Board) -> dict[str, str]:
    stands = {status.graft.name: status.state.value for status in board.statuses()}
    return {name: state for name, state in stands.items() if name.startswith("stream.")}
