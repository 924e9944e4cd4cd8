"""The files a proxy starts from: its config, its custom_auth, and the door to the guard."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from litellm_cancel_guard.host.setup_files import SHIM
from tests.harness.keys import CUSTOM_AUTH, MASTER_KEY
from tests.harness.process import LOOPBACK

if TYPE_CHECKING:
    from tests.harness.provider.handle import Secure
    from tests.harness.versions import Version

Settings = dict[str, Any]

TOOLS = "tools"

# Under gunicorn a thread of LiteLLM's (1.94 - 1.109, proxy/db/query_engine_reaper.py) opens a file as ASCII while the
# arbiter forks: the first to do so imports the codec, its lock stays locked in the worker, which never comes up.
_BEFORE_A_FORK = "import encodings.ascii\n"


@dataclass(frozen=True)
class Setup:
    """What makes one proxy differ from another; equal setups can share a process."""

    version: Version
    guarded: bool
    provider: str
    """URL of the scripted provider."""
    redis_port: int | None
    secure: Secure | None = None
    """Where the provider speaks TLS: some versions' WebSocket clients speak nothing else."""
    workers: int = 1
    arguments: tuple[str, ...] = ()
    """More of the command line."""
    env: tuple[tuple[str, str], ...] = ()
    """More environment variables, over those of `environment`."""
    libraries: str = ""
    """A folder that the proxy's Python also looks into."""
    begins: str = field(default="", repr=False)
    """Python that each of its processes runs first, as an APM would have it."""
    settings: str = field(default="", repr=False)
    """YAML, merged section by section over the config."""
    callbacks: tuple[str, ...] = ()
    """More of them, after the guard's."""
    beside: tuple[str, ...] = ()
    """Files of harness/beside to lay beside the config."""
    number: int = 0
    """Tells one proxy from another that is like it and shared, too."""
    warm: bool = True
    """Whether it has served a request before it is handed out."""
    forks: bool = True
    """Whether it, and its workers, may come out of a process that has LiteLLM imported already."""


def write(setup: Setup, folder: Path) -> Path:
    """Write all files into the folder; returns the path of the config."""
    config = _config(setup)
    for section, more in (yaml.safe_load(setup.settings) or {}).items():
        config[section] = {**config.get(section, {}), **more} if isinstance(more, dict) else more
    (folder / "test_auth.py").write_text(CUSTOM_AUTH)
    (folder / "path").mkdir()
    (folder / "path" / "sitecustomize.py").write_text(_BEFORE_A_FORK + setup.begins)
    for name in setup.beside:
        shutil.copy(Path(__file__).with_name("beside") / name, folder)
    if setup.guarded:
        _open_the_door(setup.version, folder)
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(config, sort_keys=False))
    return path


def environment(setup: Setup, folder: Path) -> dict[str, str]:
    """Nothing of the developer's own environment but where programs are: no real key, no proxy, no database."""
    return {
        "HOME": str(folder),
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "PYTHONPATH": os.pathsep.join(filter(None, (str(folder / "path"), setup.libraries))),
        "PYTHONUNBUFFERED": "1",
        "PYTHONFAULTHANDLER": "1",
        "NO_PROXY": "*",
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        # Wider than a session: a window that rolls over would wipe the leak we are looking for.
        "LITELLM_RATE_LIMIT_WINDOW_SIZE": "3600",
        "ANTHROPIC_API_KEY": "provider-key",
        "ANTHROPIC_API_BASE": setup.provider,
        "AWS_ACCESS_KEY_ID": "provider-key",
        "AWS_SECRET_ACCESS_KEY": "provider-key",
        "AWS_REGION_NAME": "us-east-1",
        "AWS_BEDROCK_RUNTIME_ENDPOINT": setup.provider,
        "GEMINI_API_KEY": "provider-key",
        "GEMINI_API_BASE": setup.provider,
        **({"SSL_CERT_FILE": setup.secure.authority} if setup.secure else {}),
        **dict(setup.env),
    }


def _config(setup: Setup) -> Settings:
    litellm: Settings = {"num_retries": 0, "request_timeout": 100, "fallbacks": [{"first-choice": ["second-choice"]}]}
    callbacks = [*(["litellm_cancel_guard.handler"] if setup.guarded else []), *setup.callbacks]
    if callbacks:
        litellm["callbacks"] = callbacks
    if setup.redis_port is not None:
        # No answer is cached; `cache` is what hands Redis to the limiter.
        params = {"type": "redis", "host": LOOPBACK, "port": setup.redis_port, "supported_call_types": []}
        litellm |= {"cache": True, "cache_params": params}
    return {
        "model_list": _models(setup.provider, setup.secure.url if setup.secure else setup.provider),
        "mcp_servers": {TOOLS: {"url": _tools_url(setup), "transport": "http", "allow_all_keys": True}},
        "litellm_settings": litellm,
        "router_settings": {"num_retries": 0, "disable_cooldowns": True},
        "general_settings": {
            "master_key": MASTER_KEY,
            "custom_auth": "test_auth.user_api_key_auth",
            "pass_through_endpoints": [_pass_through(setup)],
        },
    }


def tools_id(setup: Setup) -> str:
    """What LiteLLM calls the MCP server of its config (1.80 - 1.109, mcp_server_manager.py, stable server id)."""
    return hashlib.sha256(f"{TOOLS}|{_tools_url(setup)}|http||".encode()).hexdigest()[:32]


def _tools_url(setup: Setup) -> str:
    return f"{setup.provider}/mcp"


def _models(provider: str, secure: str) -> list[Settings]:
    bases = {
        "gpt": ("openai/gpt-4o-mini", f"{provider}/v1"),
        "claude": ("anthropic/claude-3-5-haiku-20241022", provider),
        "gem": ("gemini/gemini-2.0-flash", provider),
        "text": ("text-completion-openai/gpt-3.5-turbo-instruct", f"{provider}/v1"),
        "haiku": ("bedrock/anthropic.claude-3-haiku-20240307-v1:0", provider),
        "embed": ("openai/text-embedding-3-small", f"{provider}/v1"),
        "first-choice": ("openai/first-choice", f"{provider}/v1"),
        "second-choice": ("openai/second-choice", f"{provider}/v1"),
        "listener": ("openai/gpt-4o-mini-transcribe", f"{provider}/v1"),
        "live": ("openai/live", f"{secure}/v1"),
        "refused-429": ("openai/refused-429", f"{secure}/v1"),
        "refused-500": ("openai/refused-500", f"{secure}/v1"),
    }
    return [
        {"model_name": name, "litellm_params": {"model": model, "api_base": base, "api_key": "provider-key"}}
        for name, (model, base) in bases.items()
    ]


def _pass_through(setup: Setup) -> Settings:
    endpoint: Settings = {"path": "/custom", "target": f"{setup.provider}/custom", "forward_headers": True}
    if setup.version.pass_through_auth_is_free:
        endpoint["auth"] = True
    return endpoint


def link_package(folder: Path) -> None:
    """Lay the package under test, source or wheel, into a folder that has nothing else for a Python to import."""
    spec = importlib.util.find_spec("litellm_cancel_guard")
    assert spec is not None, "litellm_cancel_guard is not importable here"
    assert spec.submodule_search_locations
    (folder / "litellm_cancel_guard").symlink_to(Path(spec.submodule_search_locations[0]).resolve())


def _open_the_door(version: Version, folder: Path) -> None:
    link_package(folder / "path")
    if not version.loads_packages:
        (folder / "litellm_cancel_guard.py").write_text(SHIM)
