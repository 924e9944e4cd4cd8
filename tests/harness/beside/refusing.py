"""Guardrails of the proxy under test; each refuses the requests that order it: `[[... proxy=before]]`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from fastapi import HTTPException
from litellm.integrations.custom_guardrail import CustomGuardrail

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


def refuse(data: Any, when: str) -> None:
    order = re.search(rf"\[\[run=(\w+)[^\]]*\bproxy={when}\b", str(data))
    if order:
        # A stream that was refused at its end looks like any other that was cut short: the log tells them apart.
        print(f"guardrail {when} refuses run {order[1]}", flush=True)
        raise HTTPException(400, f"refused by a guardrail: {when}")


class Before(CustomGuardrail):
    async def async_pre_call_hook(self, user_api_key_dict: Any, cache: Any, data: Any, call_type: str) -> None:
        refuse(data, "before")


class Tool(CustomGuardrail):
    async def async_pre_call_hook(self, user_api_key_dict: Any, cache: Any, data: Any, call_type: str) -> None:
        if "mcp_tool_name" in data:
            refuse(data, "tool")


class During(CustomGuardrail):
    async def async_moderation_hook(self, data: Any, user_api_key_dict: Any, call_type: str) -> None:
        refuse(data, "during")


class Answer(CustomGuardrail):
    async def async_post_call_success_hook(self, data: Any, user_api_key_dict: Any, response: Any) -> None:
        refuse(data, "answer")

    async def async_post_call_streaming_iterator_hook(
        self, user_api_key_dict: Any, response: Any, request_data: Any
    ) -> AsyncIterator[Any]:
        async for chunk in response:
            yield chunk
        refuse(request_data, "answer")
