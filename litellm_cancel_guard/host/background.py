"""Answers that are polled (``polling_via_cache``): LiteLLM goes on in a task of its own when the client has its id.

The pre-call hooks run in the ASGI task, which ends at once (1.81 - 1.109, proxy/response_api_endpoints/endpoints.py);
1.80 runs them in the other task. By its end the slot would be free while the provider has not begun.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from litellm_cancel_guard.host.grafting import is_grafted
from litellm_cancel_guard.host.serving import goes_on_alone

if TYPE_CHECKING:
    from litellm_cancel_guard.host.grafting import Touch
    from litellm_cancel_guard.ledger.registry import Registry

_TASK = "background_streaming_task"


def follow(module: Any, registry: Registry, touch: Touch) -> None:
    """Have requests last as long as their ``background_streaming_task``, once however often it is called.

    Args:
        module: LiteLLM's ``proxy.response_polling.background_streaming``, which its endpoint asks at each request.
        registry: where the requests are.
        touch: puts it in.

    Raises:
        NotFoundError: LiteLLM goes on in another way.
    """
    if is_grafted(module, _TASK):
        return

    async def background_streaming_task(original: Any, *args: Any, **kwargs: Any) -> Any:
        goes_on_alone()
        # Its first step comes before the callbacks of the ASGI task that made it: the slot has not been given back.
        request = registry.current()
        if request is not None:
            registry.last(request, asyncio.current_task())
        if (client := kwargs.get("request")) is not None:
            # 1.93 - 1.96 watch for the client's leaving, who has left: the provider was hung up on before its first
            # content. From 1.103 on LiteLLM does the same by itself (`detach_request_from_client`).
            kwargs["request"] = type(client)(client.scope, _says_nothing)
        return await original(*args, **kwargs)

    touch.replace(module, _TASK, background_streaming_task)


async def _says_nothing() -> Any:
    await asyncio.Event().wait()
