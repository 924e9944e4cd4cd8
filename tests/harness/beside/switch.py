"""Puts the guard into a proxy that runs without it, at POST /_enable."""

from __future__ import annotations

from typing import Any

import litellm
from litellm.integrations.custom_logger import CustomLogger
from litellm.proxy.proxy_server import app
from starlette.responses import JSONResponse
from starlette.routing import Route


async def enable(request: Any) -> JSONResponse:
    from litellm_cancel_guard import handler

    litellm.callbacks.append(handler)
    return JSONResponse({"callbacks": [type(callback).__name__ for callback in litellm.callbacks]})


app.router.routes.insert(0, Route("/_enable", enable, methods=["POST"]))
callback = CustomLogger()
