"""A callback of an operator's own that fails in the middle of the streams that order it: `[[... proxy=midway]]`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastapi import HTTPException
from litellm.integrations.custom_logger import CustomLogger

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

FAULTS = {"proxy=midway": HTTPException(400, "refused in the middle"), "proxy=faulty": KeyError("mine")}
# Not after so many chunks: on a busy machine several are read as one.
AT = "word2"


class Midway(CustomLogger):
    async def async_post_call_streaming_iterator_hook(
        self, user_api_key_dict: Any, response: Any, request_data: Any
    ) -> AsyncIterator[Any]:
        fault = next((fault for order, fault in FAULTS.items() if order in str(request_data)), None)
        async for chunk in response:
            if fault is not None and AT in str(chunk):
                raise fault
            yield chunk


midway = Midway()
