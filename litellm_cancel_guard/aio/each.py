"""Many calls of one kind, some at a time: one after the other each waits for its own round trip."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

S = TypeVar("S")
T = TypeVar("T")

# Each takes a connection, of LiteLLM's own pool where a worker asks.
_AT_ONCE = 8


async def each(do: Callable[[S], Awaitable[T]], of: Sequence[S]) -> list[T]:
    """Return what *do* returns for each, in their order; what one raises, when those beside it are done."""
    found: list[T] = []
    for first in range(0, len(of), _AT_ONCE):
        answers = await asyncio.gather(*map(do, of[first : first + _AT_ONCE]), return_exceptions=True)
        for answer in answers:
            if isinstance(answer, BaseException):
                raise answer
            found.append(answer)
    return found
