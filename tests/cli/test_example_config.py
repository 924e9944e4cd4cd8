"""config.example.yaml works as it stands, and says about each setting what is true."""

from __future__ import annotations

import re
import shutil
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import yaml

import litellm_cancel_guard.demo
from litellm_cancel_guard.demo import children
from litellm_cancel_guard.settings import Settings, load_settings
from tests.cli.command import guard

if TYPE_CHECKING:
    from collections.abc import Iterator

EXAMPLE = Path(__file__).parents[2] / "config.example.yaml"
DEMO = Path(litellm_cancel_guard.demo.__file__).parent
KEY = "sk-a-master-key-of-a-test-0123456789"
AUTH = """
from litellm.proxy._types import UserAPIKeyAuth

async def check(request, api_key):
    return {returned}
"""


def commented_settings() -> dict[str, Any]:
    _, _, block = EXAMPLE.read_text().partition("callback_settings:")
    shown = re.findall(r"^ +# (\w+: (?:[\w.]+|\[[\w, -]*\])) +#", block, re.MULTILINE)
    settings: dict[str, Any] = yaml.safe_load("\n".join(shown))
    return settings


def test_every_setting_is_there_with_its_default() -> None:
    shown = commented_settings()
    assert set(shown) == set(Settings.model_fields)
    assert load_settings(shown, {}) == Settings()


def test_init_finds_it_ready(tmp_path: Path) -> None:
    config = shutil.copy(EXAMPLE, tmp_path / "config.yaml")
    done = guard("init", "--config", config)
    assert done.returncode == 0, done
    assert "already names litellm_cancel_guard.handler" in done.stdout


@pytest.mark.timeout(180)
def test_a_proxy_starts_from_it_and_names_the_guard_among_its_callbacks(tmp_path: Path) -> None:
    with proxy_from(EXAMPLE.read_text(), tmp_path) as (client, _):
        assert ask(client)["content"][0]["text"] == "word"
        active = client.get("/active/callbacks").json()
    assert "litellm_cancel_guard" in active["litellm.callbacks"]


@pytest.mark.thorough
@pytest.mark.timeout(180)
def test_with_the_custom_auth_of_its_comment_a_key_is_capped_in_redis(tmp_path: Path) -> None:
    returned = re.search(r"UserAPIKeyAuth\(.*\)", EXAMPLE.read_text())
    assert returned
    with_auth = EXAMPLE.read_text().replace("general_settings:", "general_settings:\n  custom_auth: my_auth.check")
    (tmp_path / "proxy").mkdir()
    (tmp_path / "proxy" / "my_auth.py").write_text(AUTH.format(returned=returned[0]))
    with proxy_from(with_auth, tmp_path) as (client, proxy):
        ask(client)
        attached = [line for line in proxy.log.read_text().splitlines() if "cancel_guard" in line]
    assert len(attached) == 1, proxy.tail()
    assert "Redis" in attached[0]


@contextmanager
def proxy_from(config: str, folder: Path) -> Iterator[tuple[httpx.Client, children.Child]]:
    redis, provider, port = (children.free_port() for _ in range(3))
    home = folder / "proxy"
    home.mkdir(exist_ok=True)
    (home / "config.yaml").write_text(config)
    guard("init", "--config", home / "config.yaml")
    args = ["--config", "config.yaml", "--host", "127.0.0.1", "--port", str(port)]
    with (
        children.python("Redis", str(DEMO / "embedded_redis.py"), [str(redis)], folder=folder / "redis"),
        children.python("provider", str(DEMO / "provider.py"), [str(provider)], folder=folder / "provider"),
        children.python(
            "LiteLLM", "litellm.proxy.proxy_cli", args, folder=home, env=surroundings(redis, provider)
        ) as proxy,
        httpx.Client(
            base_url=f"http://127.0.0.1:{port}",
            headers={"Authorization": f"Bearer {KEY}"},
            timeout=30,
            trust_env=False,
        ) as client,
    ):
        wait_until_it_answers(client, proxy)
        yield client, proxy


def surroundings(redis: int, provider: int) -> dict[str, str]:
    return {
        "ANTHROPIC_API_KEY": "unused",
        "ANTHROPIC_API_BASE": f"http://127.0.0.1:{provider}",
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        "LITELLM_LOG": "INFO",
        "LITELLM_MASTER_KEY": KEY,
        "REDIS_HOST": "127.0.0.1",
        "REDIS_PORT": str(redis),
    }


def wait_until_it_answers(client: httpx.Client, proxy: children.Child) -> None:
    for _ in range(300):
        proxy.check()
        with suppress(httpx.TransportError):
            if client.get("/health/liveliness").is_success:
                return
        time.sleep(0.2)
    raise AssertionError(proxy.tail())


def ask(client: httpx.Client) -> dict[str, Any]:
    body = {"model": "claude", "max_tokens": 8, "messages": [{"role": "user", "content": "Say words."}]}
    response = client.post("/v1/messages", json=body)
    assert response.is_success, response.text
    answer: dict[str, Any] = response.json()
    return answer
