"""Pass-through streams, which LiteLLM hands to no hook: the provider's connection is closed when their tasks end."""

from __future__ import annotations

import functools
import logging
import sys
from typing import TYPE_CHECKING, Any

from litellm_cancel_guard.closing import Closer
from litellm_cancel_guard.serving import when_served

if TYPE_CHECKING:
    from collections.abc import Callable

log = logging.getLogger("LiteLLM Proxy")

_MARK = "_cancel_guard_closes"


def close_abandoned_streams() -> None:
    """Have every pass-through stream of LiteLLM closed with its request task, once however often it is called.

    Its generator is made in the request task by ``PassThroughStreamingHandler.chunk_processor`` (1.80 - 1.109,
    proxy/pass_through_endpoints/pass_through_endpoints.py). Starlette closes no body whose client has left (0.50 -
    1.10, responses.py, ``StreamingResponse``), nor does LiteLLM 1.83: the provider went on until the collector came.
    """
    # Under that name, in that module alone: `/v1/messages` makes Anthropic's streams by the same class, but in a task
    # that is done before the stream is read (llms/anthropic/), and every one of them would be closed unread.
    module: Any = sys.modules.get("litellm.proxy.pass_through_endpoints.pass_through_endpoints")
    handler: Any = getattr(module, "PassThroughStreamingHandler", None)
    original = getattr(handler, "chunk_processor", None)
    if original is None or getattr(original, _MARK, False):
        return
    closing = {"chunk_processor": staticmethod(_closed_with_its_task(original))}
    module.PassThroughStreamingHandler = type(handler.__name__, (handler,), closing)


def _closed_with_its_task(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def chunk_processor(*args: Any, **kwargs: Any) -> Any:
        stream = original(*args, **kwargs)
        try:
            when_served(Closer(stream).close_soon)
        except Exception:
            log.exception("cancel_guard: a pass-through stream goes on as LiteLLM serves it")
        return stream

    setattr(chunk_processor, _MARK, True)
    return chunk_processor
