"""Pass-through streams, which LiteLLM hands to no hook: the provider's connection is closed when their tasks end.

Starlette closes no body whose client has left (0.50 - 1.10, responses.py, ``StreamingResponse``), nor does LiteLLM
1.83: the provider went on until the collector came.
"""

from __future__ import annotations

import functools
import inspect
import sys
from typing import TYPE_CHECKING, Any

from litellm_cancel_guard.host.closing import Closer
from litellm_cancel_guard.host.grafting import NotFoundError
from litellm_cancel_guard.host.serving import streams, when_served
from litellm_cancel_guard.redaction.records import log

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from litellm_cancel_guard.host.grafting import Touch


_MARK = "_cancel_guard_closes"


def close_abandoned_streams(touch: Touch) -> None:
    """Have every pass-through stream of LiteLLM closed with its request task, once however often it is called.

    Raises:
        NotFoundError: LiteLLM makes them in another way.
    """
    _close_those_of_the_handler(touch)
    _close_those_of_bedrock(touch)


def _close_those_of_the_handler(touch: Touch) -> None:
    """Close what ``PassThroughStreamingHandler.chunk_processor`` makes in the request task (1.80 - 1.109).

    Under that name, in the one module alone (proxy/pass_through_endpoints/pass_through_endpoints.py): `/v1/messages`
    makes Anthropic's streams by the same class, but in a task that is done before the stream is read (llms/anthropic/),
    and every one of them would be closed unread.
    """
    module: Any = sys.modules.get("litellm.proxy.pass_through_endpoints.pass_through_endpoints")
    handler: Any = getattr(module, "PassThroughStreamingHandler", None)
    original: Any = getattr(handler, "chunk_processor", None)
    if hasattr(original, _MARK):
        return
    # Of a method of its instances, the wrapper would be called without the instance.
    if not isinstance(inspect.getattr_static(handler, "chunk_processor", None), staticmethod | classmethod):
        raise NotFoundError("LiteLLM makes its pass-through streams in another way")

    @functools.wraps(original)
    def chunk_processor(*args: Any, **kwargs: Any) -> Any:
        return _closed_when_served(original(*args, **kwargs))

    setattr(chunk_processor, _MARK, True)
    closing = {"chunk_processor": staticmethod(chunk_processor)}
    touch.put(module, "PassThroughStreamingHandler", type(handler.__name__, (handler,), closing))


def _close_those_of_bedrock(touch: Touch) -> None:
    """Close the response that `/bedrock` streams from, by ``_async_streaming`` (1.80 - 1.96, passthrough/main.py).

    It asks for it when the first chunk is asked for, and a generator that was cancelled has nothing left.
    """
    module: Any = sys.modules.get("litellm.passthrough.main")
    original = getattr(module, "_async_streaming", None)
    if original is None or hasattr(original, _MARK):
        return

    @functools.wraps(original)
    def _async_streaming(response: Any, *args: Any, **kwargs: Any) -> Any:
        return original(_asked(response) if inspect.isawaitable(response) else response, *args, **kwargs)

    setattr(_async_streaming, _MARK, True)
    touch.put(module, "_async_streaming", _async_streaming)


async def _asked(response: Awaitable[Any]) -> Any:
    return _closed_when_served(await response)


def _closed_when_served(stream: Any) -> Any:
    try:
        when_served(Closer(stream).close_soon)
        streams()
    except Exception:
        log.exception("cancel_guard: a pass-through stream goes on as LiteLLM serves it")
    return stream
