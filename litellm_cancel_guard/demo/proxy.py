"""A real LiteLLM proxy with one capped key, with or without the guard."""

from __future__ import annotations

import asyncio
import hashlib
import json
import secrets
import shutil
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx

from litellm_cancel_guard.demo import children
from litellm_cancel_guard.host import setup_files

if TYPE_CHECKING:
    from collections.abc import Iterator

CAP, CROWD_CAP = 4, 2
MODEL = "claude-demo"
CUT = "claude-cut"
WINDOW_SECONDS = 3600
_REFUSED = 429
_STARTUP_SECONDS = 120.0
_CROWD, _LINE = "sk-crowd-", "sk-line-"
_AUTH = f"""\
from litellm.proxy._types import UserAPIKeyAuth

IN_LINE = {{"cancel_guard": {{"max_wait_seconds": 60}}}}


async def check(request, api_key):
    cap = {CROWD_CAP} if api_key.startswith(("{_CROWD}", "{_LINE}")) else {CAP}
    metadata = IN_LINE if api_key.startswith("{_LINE}") else {{}}
    return UserAPIKeyAuth(api_key=api_key, max_parallel_requests=cap, metadata=metadata)
"""


def _new_key(prefix: str = "sk-demo-") -> str:
    return f"{prefix}{secrets.token_hex(8)}"


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What both proxies share.

    Attributes:
        folder: where their files go; removed with the demo.
        redis_url: as LiteLLM gets it.
        provider_url: where the models are.
        executable: the Python that has LiteLLM.
        litellm: the LiteLLM it has.
    """

    folder: Path
    redis_url: str
    provider_url: str
    executable: str
    litellm: setup_files.LiteLLM

    @property
    def borrowed(self) -> bool:
        """Whether LiteLLM runs in a venv where the guard isn't installed."""
        return self.executable != sys.executable


@dataclass(frozen=True, slots=True)
class Proxy:
    """A proxy that has been started, and its keys; each proxy has others, so that their gauges don't mix.

    Attributes:
        url: its base address.
        child: the process.
        key: of the agent that asks twice; capped at `CAP`, as the next two are.
        leavers_key: of clients that leave.
        cut_key: of the client whose answer is cut.
        crowd_key: of agents that are refused; capped at `CROWD_CAP`.
        line_key: of agents that wait in line; capped as `crowd_key`.
    """

    url: str
    child: children.Child
    key: str = field(default_factory=_new_key)
    leavers_key: str = field(default_factory=_new_key)
    cut_key: str = field(default_factory=_new_key)
    crowd_key: str = field(default_factory=lambda: _new_key(_CROWD))
    line_key: str = field(default_factory=lambda: _new_key(_LINE))

    @property
    def key_hashes(self) -> list[str]:
        """Its keys as LiteLLM writes them."""
        return [_hash_of(key) for key in (self.key, self.leavers_key, self.cut_key, self.crowd_key, self.line_key)]

    async def ready(self) -> None:
        """Wait until the proxy answers."""
        deadline = time.monotonic() + _STARTUP_SECONDS
        async with httpx.AsyncClient(trust_env=False) as client:
            while time.monotonic() < deadline:
                self.child.check()
                try:
                    if (await client.get(f"{self.url}/health/liveliness", timeout=2)).is_success:
                        return
                except httpx.TransportError:
                    pass
                await asyncio.sleep(0.2)
        raise children.DemoError(f"{self.child.name} didn't answer within {_STARTUP_SECONDS:g} s.\n{self.child.tail()}")

    def client(self, key: str) -> httpx.AsyncClient:
        """Return a client of it that has `key`."""
        headers = {"Authorization": f"Bearer {key}", "anthropic-version": "2023-06-01"}
        return httpx.AsyncClient(base_url=self.url, headers=headers, timeout=60, trust_env=False)

    async def refuses(self, response: httpx.Response) -> bool:
        """Tell whether its answer is a refusal for a full key.

        Raises:
            DemoError: it is neither that nor an answer.
        """
        if response.is_success:
            return False
        body = (await response.aread()).decode(errors="replace")
        if response.status_code != _REFUSED:
            self.child.check()
            raise children.DemoError(f"{self.child.name} answered {response.status_code}: {body[:500]}")
        return True

    def curl(self) -> str:
        """Return a command that streams through this proxy."""
        body = json.dumps(ask(MODEL, stream=True))
        return (
            f"curl -N {self.url}/v1/messages -H 'Authorization: Bearer {self.key}' "
            f"-H 'Content-Type: application/json' -d '{body}'"
        )


def gauge_of(key: str) -> str:
    """Return the Redis key under which LiteLLM counts the requests in flight of `key`."""
    return f"{{api_key:{_hash_of(key)}}}:max_parallel_requests"


def _hash_of(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


def ask(model: str, *, stream: bool) -> dict[str, Any]:
    """Return the body of a Messages request."""
    question = {"role": "user", "content": "Say words."}
    return {"model": model, "max_tokens": 64, "stream": stream, "messages": [question]}


@contextmanager
def started(around: Surroundings, *, guarded: bool) -> Iterator[Proxy]:
    """Start a proxy and end it with the block; it isn't ready yet."""
    folder = around.folder / ("guarded" if guarded else "bare")
    folder.mkdir()
    _write_config(folder, around, guarded=guarded)
    port = children.free_port()
    name = f"LiteLLM {around.litellm.version} {'with' if guarded else 'without'} the guard"
    args = ["--config", str(folder / "config.yaml"), "--host", "127.0.0.1", "--port", str(port), "--num_workers", "1"]
    with children.python(
        name,
        "litellm.proxy.proxy_cli",
        args,
        folder=folder,
        executable=around.executable,
        env=_environment(around, guarded=guarded),
    ) as child:
        yield Proxy(f"http://127.0.0.1:{port}", child)


def _write_config(folder: Path, around: Surroundings, *, guarded: bool) -> None:
    at = {"api_base": around.provider_url, "api_key": "unused"}
    config = {
        "model_list": [
            {"model_name": name, "litellm_params": {"model": f"anthropic/{name}", **at}} for name in (MODEL, CUT)
        ],
        "litellm_settings": {
            "cache": True,
            "cache_params": {"type": "redis", "supported_call_types": []},
            **({"callbacks": [setup_files.CALLBACK]} if guarded else {}),
        },
        "general_settings": {"custom_auth": "demo_auth.check"},
    }
    path = folder / "config.yaml"
    path.write_text(json.dumps(config, indent=2))
    (folder / "demo_auth.py").write_text(_AUTH)
    if guarded and around.litellm.needs_shim:
        setup_files.write_shim(path)


def _environment(around: Surroundings, *, guarded: bool) -> dict[str, str]:
    env = {
        "REDIS_URL": around.redis_url,
        "ANTHROPIC_API_BASE": around.provider_url,
        "ANTHROPIC_API_KEY": "unused",
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        "LITELLM_MASTER_KEY": f"sk-{secrets.token_hex(16)}",
        "LITELLM_MODE": "PRODUCTION",
        "LITELLM_RATE_LIMIT_WINDOW_SIZE": str(WINDOW_SECONDS),
    }
    if around.borrowed:
        env["PYTHONPATH"] = str(_copy_of_the_guard(around.folder / "path")) if guarded else ""
    return env


def _copy_of_the_guard(folder: Path) -> Path:
    # The folder that holds the installed guard holds this Python's LiteLLM too, which would come before the venv's own.
    package = Path(setup_files.__file__).parents[1]
    shutil.copytree(package, folder / package.name, ignore=shutil.ignore_patterns("__pycache__"))
    described = folder / "litellm_cancel_guard-0.dist-info"
    described.mkdir()
    version = metadata.version("litellm-cancel-guard")
    (described / "METADATA").write_text(f"Metadata-Version: 2.1\nName: litellm-cancel-guard\nVersion: {version}\n")
    return folder
