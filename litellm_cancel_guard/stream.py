"""The guarded stream: owns the lease of a streamed response."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

from litellm_cancel_guard.completion import begin, finish
from litellm_cancel_guard.lease import Ending

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable

    from litellm_cancel_guard.routes import IsLast

    End = Callable[[Ending], Awaitable[None]]

log = logging.getLogger("LiteLLM Proxy")

# How long closing the provider's stream may hold up the end of a request whose client has left.
_CLOSE_SECONDS = 1.0


async def guarded(response: AsyncIterable[Any], end: End, is_last: IsLast | None) -> AsyncGenerator[Any, None]:
    """Yield what *response* yields, unchanged, and end its request before the last chunk is out.

    A generator that was never started runs no ``finally``, and up to 1.105 one that is abandoned runs it only when
    it is collected (style notes, facts 2 and 3): the request task's end is the backstop for both.
    """
    ending = Ending.CLIENT_LEFT
    try:
        if is_last is None:
            async for chunk in response:
                yield chunk
        else:
            async for chunk in response:
                if is_last(chunk):
                    await end(Ending.COMPLETED)
                yield chunk
        ending = Ending.COMPLETED
    except (asyncio.CancelledError, GeneratorExit):
        raise
    except Exception:
        ending = Ending.PROVIDER_FAILED
        raise
    finally:
        await end(ending)
        if ending is Ending.CLIENT_LEFT:
            await _close(response)


async def _close(response: Any) -> None:
    """Close the provider's stream: its client has left, and nobody will read it."""
    aclose = getattr(response, "aclose", None)
    if aclose is None:
        return
    try:
        await finish(begin(_closed(aclose)), within=_CLOSE_SECONDS)
    except Exception as error:
        log.debug("cancel_guard: closing an abandoned stream raised %r", error)


async def _closed(aclose: Callable[[], Awaitable[None]]) -> None:
    await aclose()
