"""A logger of an operator's own: it writes down what LiteLLM tells it of each run, one line each."""

from __future__ import annotations

import re
from typing import Any

from litellm.integrations.custom_logger import CustomLogger


def record(what: str, told: Any) -> None:
    run = re.search(r"\[\[run=(\w+)", str(told))
    # In one piece: another thread's log line would come between the line and its end.
    print(f"RECORD {run[1] if run else 'unknown'} {what}\n", end="", flush=True)


class Recorder(CustomLogger):
    async def async_log_success_event(self, kwargs: Any, response_obj: Any, start_time: Any, end_time: Any) -> None:
        record("success", kwargs.get("messages") or kwargs.get("input") or kwargs)

    async def async_log_failure_event(self, kwargs: Any, response_obj: Any, start_time: Any, end_time: Any) -> None:
        record("failure", kwargs.get("messages") or kwargs.get("input") or kwargs)

    async def async_post_call_failure_hook(
        self, request_data: Any, original_exception: Any, user_api_key_dict: Any, traceback_str: Any = None
    ) -> None:
        record("failure_hook", request_data)


recorder = Recorder()
