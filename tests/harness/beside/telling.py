"""A logger of an operator's own: it writes all that LiteLLM tells it to `told.jsonl`, by the key that asked."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from litellm.integrations.custom_logger import CustomLogger

_FILE = os.open(Path(__file__).with_name("told.jsonl"), os.O_WRONLY | os.O_APPEND | os.O_CREAT)

_TOLD = (
    "call_type",
    "stream",
    "status",
    "response_cost",
    "prompt_tokens",
    "completion_tokens",
    "total_tokens",
    "model",
    "model_id",
    "model_group",
    "custom_llm_provider",
    "cache_hit",
    "request_tags",
    "end_user",
    "error_str",
)
_WHOSE = ("user_api_key_user_id", "user_api_key_team_id", "user_api_key_org_id", "user_api_key_end_user_id")


def tell(event: str, key: Any, **what: Any) -> None:
    # One write of one line: what other threads are told comes before or behind it.
    os.write(_FILE, (json.dumps({"event": event, "key": key, **what}, default=str) + "\n").encode())


def failure_of(error: Any) -> dict[str, Any]:
    if error is None:
        return {}
    status = getattr(error, "status_code", None) or getattr(error, "code", None)
    return {"exception": type(error).__name__, "exception_status": str(status)}


class Teller(CustomLogger):
    async def async_pre_call_hook(self, user_api_key_dict: Any, cache: Any, data: Any, call_type: str) -> None:
        tell("pre_call", user_api_key_dict.api_key, call_type=str(call_type))

    async def async_log_success_event(self, kwargs: Any, response_obj: Any, start_time: Any, end_time: Any) -> None:
        logged("success", kwargs, response_obj)

    async def async_log_failure_event(self, kwargs: Any, response_obj: Any, start_time: Any, end_time: Any) -> None:
        logged("failure", kwargs, response_obj)

    async def async_post_call_success_hook(self, data: Any, user_api_key_dict: Any, response: Any) -> None:
        tell("success_hook", user_api_key_dict.api_key, answer=type(response).__name__)

    async def async_post_call_failure_hook(
        self, request_data: Any, original_exception: Any, user_api_key_dict: Any, traceback_str: Any = None
    ) -> None:
        tell("failure_hook", user_api_key_dict.api_key, **failure_of(original_exception))


def logged(event: str, kwargs: Any, answer: Any) -> None:
    payload = kwargs.get("standard_logging_object") or {}
    metadata = payload.get("metadata") or {}
    what = {name: payload.get(name) for name in _TOLD} | {name: metadata.get(name) for name in _WHOSE}
    error = failure_of(kwargs.get("exception")) if event == "failure" else {}
    tell(event, _key_of(kwargs, metadata), answer=type(answer).__name__, **what, **error)


def _key_of(kwargs: Any, metadata: Any) -> Any:
    params = kwargs.get("litellm_params") or {}
    given = [params.get(name) or {} for name in ("metadata", "litellm_metadata")]
    known = [metadata.get("user_api_key_hash"), *(one.get("user_api_key") for one in given)]
    return next((key for key in known if key), None)


teller = Teller()
