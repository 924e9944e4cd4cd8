"""Agents behind a proxy's `/a2a/AGENT`, and the official SDK that asks them: both need the a2a-sdk beside LiteLLM."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
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
# Installed without a look at what each needs of the others, they fit only in the versions that were seen to.
_PACKAGES = (
    *("a2a-sdk==1.3.0", "aiologic==0.17.1", "culsans==0.11.0", "google-api-core==2.44.0", "google-auth==2.63.0"),
    *("googleapis-common-protos==1.76.0", "json-rpc==1.15.0", "proto-plus==1.29.0", "protobuf==7.36.2"),
    *("pyasn1==0.6.5", "pyasn1-modules==0.4.2", "wrapt==2.5.2"),
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


def told(text: str) -> tuple[str, str]:
    """The agent's words, and its last event's: the state of its task, or that it is a message; in either dialect."""
    said = [_unwrapped(event["result"]) for event in events(text)]
    parts = [part for one in said for part in one.get("artifact", one).get("parts", [])]
    last = str(said[-1]["status"]["state"]) if "status" in said[-1] else "message" if "messageId" in said[-1] else ""
    return "".join(part["text"] for part in parts), last.removeprefix("TASK_STATE_").replace("_", "-").lower()


def _unwrapped(result: Json) -> Json:
    """An event of 0.3 names its kind within, and one of 1.0 is wrapped in it."""
    said: Json = result if "kind" in result else next(iter(result.values()))
    return said


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
    try:
        out, complaint = await asyncio.wait_for(process.communicate(), 60)
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
    assert process.returncode == 0, complaint.decode()
    return Seen(**json.loads(out.decode().splitlines()[-1]))
