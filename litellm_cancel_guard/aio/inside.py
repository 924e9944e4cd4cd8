"""Finds the task that an async generator is running in: nothing is noted for it, and so it costs nothing before."""

from __future__ import annotations

import asyncio
import gc
from types import AsyncGeneratorType, CoroutineType, GeneratorType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

# LiteLLM, Starlette and the guard together have about thirty awaits upon each other.
_DEEPEST = 500
_AWAITS: dict[type, str] = {CoroutineType: "cr_await", GeneratorType: "gi_yieldfrom", AsyncGeneratorType: "ag_await"}
# What asyncio's own steps are made of, and what they wrap no attribute shows (3.10 - 3.14).
_OPAQUE = ("async_generator_asend", "async_generator_athrow", "anext_awaitable", "coroutine_wrapper")


def task_inside(generator: object) -> asyncio.Task[Any] | None:
    """Return the task of the running loop that waits for something inside of *generator*; None where none does."""
    for task in asyncio.all_tasks():
        if any(step is generator for step in _steps(task.get_coro())):
            return task
    return None


def _steps(step: Any) -> Iterator[Any]:
    for _ in range(_DEEPEST):
        if step is None:
            return
        yield step
        step = _next(step)


def _next(step: Any) -> Any:
    name = _AWAITS.get(type(step))
    if name is not None:
        return getattr(step, name)
    if type(step).__name__ not in _OPAQUE:
        return None
    return next((found for found in gc.get_referents(step) if _goes_on(found)), None)


def _goes_on(found: object) -> bool:
    return type(found) in _AWAITS or type(found).__name__ in _OPAQUE
