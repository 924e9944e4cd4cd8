"""Each method of LiteLLM's limiter that the guard touches or leans on, changed in each way that makes sense."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from tests.mutants import sources
from tests.mutants.stage import Mutant, Stage

if TYPE_CHECKING:
    from collections.abc import Callable

# By the graft that stands on it.
METHODS = {
    "should_rate_limit": "slots.seam",
    "_release_parallel_request_slots": "slots.releases",
    "_defer_parallel_slot_release": "slots.releases",
    "_handle_rate_limit_error": "slots.refusal",
    "raise_if_over_limit_before_body": "slots.early_look",
    "async_increment_tokens_with_ttl_preservation": "tokens.gather",
    "_execute_token_increment_script": "tokens.apart",
    "async_log_success_event": "tokens.gather",
    "async_log_failure_event": "tokens.reservations",
    "async_pre_call_hook": "slots.seam",
    "async_post_call_failure_hook": "tokens.reservations",
    "_fail_closed_resolver": "slots.seam",
}
# LiteLLM itself calls these of any callback, by their names: with other arguments it would be another interface.
OF_EVERY_CALLBACK = {"async_pre_call_hook", "async_post_call_failure_hook"}
RETURNING = {"should_rate_limit", "_defer_parallel_slot_release", "_release_parallel_request_slots"}


def mutants(module: Any) -> Iterator[Mutant]:
    limiter = module._PROXY_MaxParallelRequestsHandler_v3
    for name, graft in METHODS.items():
        own = vars(limiter).get(name)
        if not inspect.isfunction(own):
            continue
        asynchronous = inspect.iscoroutinefunction(own)
        operators = dict(_everywhere(name, asynchronous=asynchronous))
        if name not in OF_EVERY_CALLBACK:
            operators |= dict(_with_its_callers(name, asynchronous=asynchronous))
        if name in RETURNING:
            operators |= dict(_returning(name))
        for operator, (before, after) in operators.items():
            yield Mutant(name, operator, before, after, graft)


Change = tuple["Callable[[Stage], None]", "Callable[[Stage], None]"]


def _nothing(_: Stage) -> None:
    pass


def _everywhere(  # noqa: C901 - one function for each operator
    name: str, *, asynchronous: bool
) -> Iterator[tuple[str, Change]]:
    def of(stage: Stage) -> Any:
        return vars(stage.module._PROXY_MaxParallelRequestsHandler_v3)[name]

    def raises(stage: Stage) -> None:
        async def broken(*_: Any, **__: Any) -> Any:
            raise RuntimeError("a mutant")

        def broken_at_once(*_: Any, **__: Any) -> Any:
            raise RuntimeError("a mutant")

        stage.override(**{name: broken if asynchronous else broken_at_once})

    def is_property(stage: Stage) -> None:
        original = of(stage)
        stage.override(**{name: property(lambda self: functools.partial(original, self))})

    def opaque(stage: Stage) -> None:
        setattr(stage.limiter, name, Opaque(getattr(stage.limiter, name)))

    def partial(stage: Stage) -> None:
        setattr(stage.limiter, name, functools.partial(getattr(stage.limiter, name)))

    def decorated(stage: Stage) -> None:
        original = of(stage)

        def passes_on(self: Any, *args: Any, **kwargs: Any) -> Any:
            return original(self, *args, **kwargs)

        stage.override(**{name: passes_on})

    def generic(stage: Stage) -> None:
        original = of(stage)

        async def passes_on(self: Any, /, *args: Any, **kwargs: Any) -> Any:
            return await original(self, *args, **kwargs)

        stage.override(**{name: passes_on})

    yield "an exception at call", (raises, _nothing)
    yield "a property", (is_property, _nothing)
    yield "no signature", (_nothing, opaque)
    yield "a partial", (_nothing, partial)
    if asynchronous:
        yield "sync for async", (decorated, _nothing)
        yield "any arguments", (generic, _nothing)


def _with_its_callers(name: str, *, asynchronous: bool) -> Iterator[tuple[str, Change]]:
    def renamed(stage: Stage) -> None:
        stage.module = sources.copied(stage.module, text=sources.renamed(name, f"{name}_v4"))
        stage.calls[name] = lambda limiter, *args, **kwargs: getattr(limiter, f"{name}_v4")(*args, **kwargs)

    def keyword(stage: Stage) -> None:
        stage.module = sources.copied(stage.module, tree=sources.KeywordMore(name))
        stage.calls[name] = lambda limiter, *args, **kwargs: getattr(limiter, name)(*args, tenant="a tenant", **kwargs)

    def position(stage: Stage) -> None:
        stage.module = sources.copied(stage.module, tree=sources.PositionMore(name))
        stage.calls[name] = lambda limiter, *args, **kwargs: getattr(limiter, name)("a tenant", *args, **kwargs)

    def awaited(stage: Stage) -> None:
        stage.module = sources.copied(stage.module, tree=sources.Awaited(name))

    yield "renamed", (renamed, _nothing)
    yield "a keyword more", (keyword, _nothing)
    yield "an argument more", (position, _nothing)
    if not asynchronous:
        yield "async for sync", (awaited, _nothing)


def _returning(name: str) -> Iterator[tuple[str, Change]]:
    def another(box: Callable[[Any], Any], read: Callable[[Any], Any]) -> Change:
        def before(stage: Stage) -> None:
            stage.module = sources.copied(stage.module, tree=sources.Answered(name, "_mutant_read"))
            stage.module._mutant_read = read
            original = vars(stage.module._PROXY_MaxParallelRequestsHandler_v3)[name]

            async def answers(self: Any, *args: Any, **kwargs: Any) -> Any:
                return box(await original(self, *args, **kwargs))

            stage.override(**{name: answers})

        return before, _nothing

    if name == "should_rate_limit":
        yield "a mapping", another(Answer, lambda answer: dict(answer.items()))
        yield "an object", another(Fields, lambda answer: answer.as_dict())
        yield "a pair", another(lambda answer: (answer, "why"), lambda answer: answer[0])
    else:
        yield "a pair", another(lambda answer: (answer, "why"), lambda answer: answer[0])
        yield "an object", another(Fields.boxed, lambda answer: answer.value)


class Opaque:
    """Can be called, and tells nothing of itself, as a function of C."""

    __slots__ = ("_call",)

    def __init__(self, call: Any) -> None:
        self._call = call

    @property
    def __signature__(self) -> Any:
        raise ValueError("no signature found for builtin")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._call(*args, **kwargs)


class Answer(Mapping[str, Any]):
    """A response that is no dict."""

    def __init__(self, answer: Any) -> None:
        self._answer = answer

    def __getitem__(self, name: str) -> Any:
        return self._answer[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._answer)

    def __len__(self) -> int:
        return len(self._answer)


class Fields:
    """A response with attributes."""

    def __init__(self, answer: Any) -> None:
        self.__dict__.update(answer)

    @classmethod
    def boxed(cls, value: Any) -> Fields:
        return cls({"value": value})

    def as_dict(self) -> Any:
        return dict(vars(self))
