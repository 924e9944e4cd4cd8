"""An MCP server over stdio, of one tool: `ask` asks its client's model so many times at once, and gives the answers.

Not for a config's `callbacks`: LiteLLM starts it (`mcp_servers`). It needs nothing but Python.
"""

from __future__ import annotations

import json
import sys
from typing import Any

Json = dict[str, Any]

_SCHEMA = {"type": "object", "properties": {"text": {"type": "string"}, "times": {"type": "integer"}}}
_METHOD_NOT_FOUND = -32601


def say(**message: Any) -> None:
    print(json.dumps({"jsonrpc": "2.0", **message}), flush=True)


def answer(asked: Json) -> None:
    method, params = asked["method"], asked.get("params", {})
    if method == "initialize":
        said = {"protocolVersion": params["protocolVersion"], "capabilities": {"tools": {}}}
        say(id=asked["id"], result={**said, "serverInfo": {"name": "sampling", "version": "1"}})
    elif method == "tools/list":
        say(id=asked["id"], result={"tools": [{"name": "ask", "inputSchema": _SCHEMA}]})
    elif method == "tools/call":
        texts = sampled(**params["arguments"])
        failed = any(text.startswith("refused") for text in texts)
        say(id=asked["id"], result={"content": [{"type": "text", "text": "\n".join(texts)}], "isError": failed})
    else:
        say(id=asked["id"], error={"code": _METHOD_NOT_FOUND, "message": "Method not found"})


def sampled(text: str, times: int) -> list[str]:
    """What the model answered, each time."""
    asked = {
        "messages": [{"role": "user", "content": {"type": "text", "text": text}}],
        "modelPreferences": {"hints": [{"name": "gpt"}]},
        "maxTokens": 64,
    }
    for number in range(times):
        say(id=f"sampling-{number}", method="sampling/createMessage", params=asked)
    found: list[str] = []
    while len(found) < times:
        heard = json.loads(sys.stdin.readline())
        if "result" in heard:
            found.append(heard["result"]["content"]["text"])
        elif "error" in heard:
            found.append(f"refused: {heard['error']['message']}")
    return found


def serve() -> None:
    for line in sys.stdin:
        asked = json.loads(line)
        if "id" in asked and "method" in asked:
            answer(asked)


if __name__ == "__main__":
    serve()
