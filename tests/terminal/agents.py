"""Agents behind a proxy's `/a2a/AGENT`, and the official SDK that asks them: both need the a2a-sdk beside LiteLLM."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from tests.harness import venvs
from tests.harness.provider.agent import PATHS, WITHOUT_STREAMS
from tests.harness.routes import Route

if TYPE_CHECKING:
    from tests.harness.clients import Caller
    from tests.harness.keys import Key
    from tests.harness.provider.script import Script

Json = dict[str, Any]

# The a2a-sdk that LiteLLM's `extra-proxy` asks for (1.109 - 1.110), and what litellm[proxy] lacks of its own needs.
_PACKAGES = (
    *("a2a-sdk==1.3.0", "aiologic", "culsans", "google-api-core", "google-auth", "googleapis-common-protos"),
    *("json-rpc", "proto-plus", "protobuf>=5.29.5,<8", "pyasn1", "pyasn1-modules", "wrapt"),
)
NAMES = tuple(path.removeprefix("/") for path in PATHS)
# An agent that is a model behind LiteLLM's own bridge.
BRIDGED = "bridged"


def libraries() -> str:
    return str(venvs.library(*_PACKAGES))


def settings(provider: str) -> str:
    known = PATHS | WITHOUT_STREAMS
    agents = [_agent(path.removeprefix("/"), version, f"{provider}{path}") for path, version in known.items()]
    model = {"custom_llm_provider": "openai", "model": "gpt-4o-mini", "api_key": "provider-key"}
    agents.append({**_agent(BRIDGED, "0.3", f"{provider}/v1"), "litellm_params": model})
    return yaml.safe_dump({"agent_list": agents})


def _agent(name: str, version: str, url: str) -> Json:
    card = {
        "protocolVersion": version,
        "name": name,
        "description": "scripted",
        "url": url,
        "version": "1.0.0",
        "capabilities": {"streaming": f"/{name}" not in WITHOUT_STREAMS},
        "skills": [],
        "defaultInputModes": ["text"],
        "defaultOutputModes": ["text"],
    }
    return {"agent_name": name, "agent_card_params": card}


def route(name: str, method: str = "message/stream", **params: Any) -> Route:
    """How an agent is asked in plain JSON-RPC, with more *params*; its method says whether the answer is a stream."""

    def build(_model: str, text: str) -> Json:
        message = {
            "kind": "message",
            "messageId": "message-0",
            "role": "user",
            "parts": [{"kind": "text", "text": text}],
        }
        asked = {"message": message} if method.startswith("message/") else {"id": "task-1", "metadata": {"text": text}}
        return {"jsonrpc": "2.0", "id": f"call of {name}", "method": method, "params": {**asked, **params}}

    return Route(f"a2a_{name}", f"/a2a/{name}", name, build, streams=False)


def events(text: str) -> list[Json]:
    """The JSON-RPC objects of a stream."""
    return [json.loads(line.removeprefix("data: ")) for line in text.splitlines() if line.startswith("data: ")]


@dataclass
class Seen:
    """What a program saw of an agent."""

    text: str = ""
    states: list[int] = field(default_factory=list)
    raised: str = ""
    """The class that the SDK raised; empty if it ended as if the answer were whole."""
    message: str = ""


async def ask(caller: Caller, name: str, key: Key, script: Script, *, stream: bool = True) -> Seen:
    """Ask by the SDK, in a process of its own."""
    python, program = venvs.python_of(caller.proxy.setup.version), Path(__file__).with_name("agent_client.py")
    command = (str(python), str(program), f"{caller.url()}/a2a/{name}", key.secret, str(script))
    process = await asyncio.create_subprocess_exec(
        *command,
        "stream" if stream else "plain",
        env={"PYTHONPATH": libraries(), "PATH": "/usr/bin:/bin"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, complaint = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 0, complaint.decode()
    return Seen(**json.loads(out.decode().splitlines()[-1]))
