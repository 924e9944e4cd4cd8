"""A callback whose log events take longer than LiteLLM waits for one."""

from __future__ import annotations

import asyncio
from typing import Any

from litellm.integrations.custom_logger import CustomLogger


class Dawdling(CustomLogger):
    async def async_log_success_event(self, kwargs: Any, response_obj: Any, start_time: Any, end_time: Any) -> None:
        print("dawdling over a success", flush=True)
        await asyncio.sleep(20)

    async def async_log_failure_event(self, kwargs: Any, response_obj: Any, start_time: Any, end_time: Any) -> None:
        await asyncio.sleep(20)


callback = Dawdling()
