"""A callback that asks the provider once more behind the streams that order it, for a second answer: `only=again`."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import httpx
from litellm.integrations.custom_logger import CustomLogger

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

MODEL = "again"


class AskingAgain(CustomLogger):
    async def async_should_run_agentic_loop(self, messages: list[Any], **_: Any) -> tuple[bool, dict[str, Any]]:
        return f"only={MODEL}" in str(messages), {}

    async def async_run_agentic_loop(self, messages: list[Any], **_: Any) -> AsyncIterator[bytes]:
        return second(messages)


async def second(messages: list[Any]) -> AsyncIterator[bytes]:
    url, asked = (
        f"{os.environ['ANTHROPIC_API_BASE']}/v1/messages",
        {"model": MODEL, "messages": messages, "stream": True},
    )
    async with httpx.AsyncClient(timeout=60) as http, http.stream("POST", url, json=asked) as answer:
        async for piece in answer.aiter_bytes():
            yield piece


asking_again = AskingAgain()
