"""Attaches the guard to the installed LiteLLM's limiter: `python -m benchmarks.attach_probe REDIS_PORT`; see attach.py.

As a worker does it at its start: the callback is built, put into LiteLLM's list, and has LiteLLM's limiter before it.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
import time
import warnings
from typing import Any

warnings.simplefilter("ignore")

import litellm
from litellm.caching.caching import DualCache, RedisCache
from litellm.proxy import proxy_server
from litellm.proxy.hooks import parallel_request_limiter_v3 as module
from litellm.proxy.utils import InternalUsageCache

from litellm_cancel_guard.guard import _PROXY_CancelGuard


async def main() -> None:
    logging.disable(logging.INFO)
    cache = RedisCache(host="127.0.0.1", port=int(sys.argv[1]))
    limiter: Any = module._PROXY_MaxParallelRequestsHandler_v3(InternalUsageCache(DualCache(redis_cache=cache)))
    proxy_server.proxy_logging_obj.proxy_hook_mapping["parallel_request_limiter"] = limiter
    guard = _PROXY_CancelGuard()
    litellm.callbacks = [guard, limiter]
    wall, cpu = time.perf_counter(), time.process_time()
    await guard._worker.prepared(guard)
    took = {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}
    states = {status.graft.name: status.state.value for status in guard._worker.board.statuses()}
    print(json.dumps({**took, "states": states}))


if __name__ == "__main__":
    asyncio.run(main())
