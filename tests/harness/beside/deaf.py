"""A web server that takes a message and never says that it is out, as hypercorn over HTTP/2 may.

Around the application and all that is put around it, with the guard's callback listed before.
"""

from __future__ import annotations

import asyncio
from typing import Any

from litellm.integrations.custom_logger import CustomLogger
from litellm.proxy.proxy_server import app


class Deaf:
    """Hands every message on, and of a request with that header waits for ever behind the last one."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        async def never_says_so(message: Any) -> None:
            await send(message)
            if message["type"] == "http.response.body" and not message.get("more_body"):
                await asyncio.Event().wait()

        headers = dict(scope.get("headers", ()))
        await self._inner(scope, receive, never_says_so if b"x-deaf" in headers else send)


if app.middleware_stack is not None:
    app.middleware_stack = Deaf(app.middleware_stack)
else:
    build = app.build_middleware_stack
    app.build_middleware_stack = lambda: Deaf(build())
deaf = CustomLogger()
