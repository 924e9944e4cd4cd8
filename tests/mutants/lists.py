"""LiteLLM's list of callbacks, and what it says of a key, changed in each way that makes sense."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from types import ModuleType
from typing import TYPE_CHECKING, Any

from litellm.integrations.custom_logger import CustomLogger

from tests.mutants.stage import Mutant, Stage

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

_ORDER, _ENCLOSING, _SEAM = "slots.order", "stream.enclosing", "slots.seam"
_LINE = {"max_wait_seconds": 0.3, "max_waiting": 2, "fair_by": ["end_user"]}


class Guardrail(CustomLogger):  # type: ignore[misc]
    """Looks at answers: what the guard hands on passes it."""

    async def async_post_call_streaming_iterator_hook(
        self, user_api_key_dict: Any, response: Any, request_data: Any
    ) -> AsyncIterator[Any]:
        """Hand it on."""
        async for chunk in response:
            yield chunk


def mutants() -> Iterator[Mutant]:
    for graft, between in ((_ORDER, False), (_ENCLOSING, True)):
        for operator, put in _SHAPES.items():
            yield _listed(graft, operator, put, with_guardrail=between)
    for operator, change in _KEYS.items():
        yield Mutant("a key's metadata", operator, _of_key(change), graft=_SEAM)
    for operator, value in {"a text": "2", "a float": 2.0, "a word": "two"}.items():
        yield Mutant("a key's max_parallel_requests", operator, _of_key(_capped(value)), graft=_SEAM)
    yield Mutant("a key's end_user_id", "an exception at call", _of_key(_broken_end_user), graft=_SEAM)


def _listed(graft: str, operator: str, put: Any, *, with_guardrail: bool) -> Mutant:
    def before(stage: Stage) -> None:
        def lists(guard: Any, limiter: Any) -> None:
            listed = [guard, Guardrail(), limiter] if with_guardrail else [limiter, guard]
            stage.calls["read"] = put(stage, listed)

        stage.calls["lists"] = lists

    return Mutant(
        "litellm.callbacks", f"{operator}, {'guardrails' if with_guardrail else 'behind'}", before, graft=graft
    )


def _litellm() -> Any:
    return sys.modules["litellm"]


def _as_today(_stage: Stage, listed: list[Any]) -> Callable[[], Any]:
    _litellm().callbacks = listed
    return lambda: _litellm().callbacks


def _tuple(stage: Stage, listed: list[Any]) -> Callable[[], Any]:
    return _as_today(stage, tuple(listed))  # type: ignore[arg-type]


class Ordered(list[Any]):
    """A list that its owner asks for more than a list has."""

    def in_order(self) -> list[Any]:
        return list(self)


def _own_kind(stage: Stage, listed: list[Any]) -> Callable[[], Any]:
    _as_today(stage, Ordered(listed))
    return lambda: _as_list(_litellm().callbacks.in_order())


def _as_list(callbacks: Any) -> list[Any]:
    return list(callbacks)


class Kept:
    """Callbacks that are no list."""

    def __init__(self, listed: list[Any]) -> None:
        self.kept = listed

    def __iter__(self) -> Iterator[Any]:
        return iter(self.kept)


def _object(stage: Stage, listed: list[Any]) -> Callable[[], Any]:
    return _as_today(stage, Kept(listed))  # type: ignore[arg-type]


def _by_name(stage: Stage, listed: list[Any]) -> Callable[[], Any]:
    named = {type(callback).__name__: callback for callback in listed}
    _as_today(stage, named)  # type: ignore[arg-type]
    return lambda: _as_list(_litellm().callbacks.values())


def _renamed(stage: Stage, listed: list[Any]) -> Callable[[], Any]:
    stage.remove(_litellm(), "callbacks")
    return lambda: listed


def _elsewhere(stage: Stage, listed: list[Any]) -> Callable[[], Any]:
    """LiteLLM's own callbacks are in a list of their own, which comes first."""
    own = [callback for callback in listed if "ParallelRequests" in type(callback).__name__]
    _as_today(stage, [callback for callback in listed if callback not in own])
    return lambda: [*own, *_litellm().callbacks]


def _forgets(stage: Stage, listed: list[Any]) -> Callable[[], Any]:
    """A module that keeps its list, whatever is set."""
    module = _litellm()

    class Keeps(type(module)):  # type: ignore[misc]
        callbacks = property(lambda _: listed, lambda _, __: None)

    before = module.__class__
    assert issubclass(before, ModuleType)
    module.__class__ = Keeps
    stage.when_cleared(lambda: setattr(module, "__class__", before))
    return lambda: listed


def _copies(stage: Stage, listed: list[Any]) -> Callable[[], Any]:
    """What LiteLLM goes by is a copy that it has made."""
    _as_today(stage, listed)
    kept = list(listed)
    return lambda: kept


_SHAPES: dict[str, Any] = {
    "any order": _as_today,
    "a tuple": _tuple,
    "a list of its own kind": _own_kind,
    "an object": _object,
    "a mapping": _by_name,
    "renamed": _renamed,
    "elsewhere": _elsewhere,
    "forgets attributes": _forgets,
    "a copy": _copies,
}


class Said(Mapping[str, Any]):
    """Metadata that are no dict."""

    def __getitem__(self, name: str) -> Any:
        return {"cancel_guard": _LINE}[name]

    def __iter__(self) -> Iterator[str]:
        return iter(("cancel_guard",))

    def __len__(self) -> int:
        return 1


def _of_key(change: Callable[[Any], Any]) -> Callable[[Stage], None]:
    return lambda stage: stage.calls.update(key=change)


def _saying(metadata: Any) -> Callable[[Any], Any]:
    def change(key: Any) -> Any:
        key.metadata = metadata
        return key

    return change


def _capped(value: Any) -> Callable[[Any], Any]:
    def change(key: Any) -> Any:
        key.max_parallel_requests = value
        return key

    return change


def _raising(name: str, metadata: Any) -> Callable[[Any], Any]:
    """A key of which nobody may ask for *name*."""

    def change(key: Any) -> Any:
        def raises(_: Any) -> Any:
            raise RuntimeError("a mutant")

        key.metadata = metadata
        key.__class__ = type("Key", (type(key),), {name: property(raises)})
        return key

    return change


_broken_end_user = _raising("end_user_id", {"cancel_guard": _LINE})
_KEYS: dict[str, Callable[[Any], Any]] = {
    "any order": _saying({"cancel_guard": _LINE}),
    "None": _saying(None),
    "a mapping": _saying(Said()),
    "a list": _saying({"cancel_guard": ["max_wait_seconds"]}),
    "another type": _saying({"cancel_guard": {"max_wait_seconds": "soon"}}),
    "a text": _saying({"cancel_guard": '{"max_wait_seconds": 0.3}'}),
}
