"""Asks an agent by the official a2a-sdk: `agent_client.py URL KEY TEXT stream`; prints what it has seen as JSON.

It runs in the environment of the proxy's LiteLLM, with the folder of the SDK on its path, and can import nothing else.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

import httpx
from a2a.client import A2ACardResolver, ClientConfig, create_client
from a2a.types import Message, Part, Role, SendMessageRequest


async def ask(url: str, key: str, text: str, *, stream: bool) -> dict[str, Any]:
    seen: dict[str, Any] = {"text": "", "states": [], "raised": "", "message": ""}
    async with httpx.AsyncClient(headers={"Authorization": f"Bearer {key}"}, timeout=20, trust_env=False) as http:
        card = await A2ACardResolver(http, url).get_agent_card()
        client = await create_client(card, client_config=ClientConfig(httpx_client=http, streaming=stream))
        message = Message(role=Role.ROLE_USER, message_id="message-0", parts=[Part(text=text)])
        try:
            async for event in client.send_message(SendMessageRequest(message=message)):
                note(event, seen)
        except Exception as error:
            seen["raised"], seen["message"] = type(error).__name__, str(error)
    return seen


def note(event: Any, seen: dict[str, Any]) -> None:
    if event.HasField("artifact_update"):
        seen["text"] += "".join(part.text for part in event.artifact_update.artifact.parts)
    elif event.HasField("message"):
        seen["text"] += "".join(part.text for part in event.message.parts)
    elif event.HasField("status_update"):
        seen["states"].append(event.status_update.status.state)


if __name__ == "__main__":
    print(json.dumps(asyncio.run(ask(sys.argv[1], sys.argv[2], sys.argv[3], stream=sys.argv[4] == "stream"))))
