"""What the user asked for, refused in one sentence where it can't be had."""

from __future__ import annotations

import importlib.util
import re
import signal
from dataclasses import dataclass

from litellm_cancel_guard.demo.children import DemoError
from litellm_cancel_guard.host.setup_files import LiteLLM

_FOR_LITELLM = ("litellm", "fastapi", "uvicorn", "orjson")
_FOR_REDIS = ("fakeredis", "lupa")


class NotStartedError(DemoError):
    """What was asked for can't be had; nothing has been started."""


@dataclass(frozen=True, slots=True)
class Options:
    """What the user asked for.

    Attributes:
        redis: URL of a Redis to use; None starts an embedded one.
        litellm: version to run; None takes the one installed.
        serve: whether the guarded proxy stays up afterwards.
        turns: how many turns to play.
    """

    redis: str | None = None
    litellm: str | None = None
    serve: bool = False
    turns: int = 12

    def check(self) -> None:
        """Raise NotStartedError if the demo can't run with these."""
        if not hasattr(signal, "SIGHUP"):
            raise NotStartedError("the demo runs on Linux and macOS, as LiteLLM's proxy does.")
        wanted = (() if self.litellm else _FOR_LITELLM) + (() if self.redis else _FOR_REDIS)
        if any(importlib.util.find_spec(name) is None for name in wanted):
            raise NotStartedError("the demo needs a few more packages: pip install 'litellm-cancel-guard[demo]'")
        self._check_litellm()
        if self.redis:
            _ping(self.redis)

    def _check_litellm(self) -> None:
        if self.litellm and not re.fullmatch(r"\d+\.\d+\.\d+[a-z0-9.]*", self.litellm):
            raise NotStartedError(f"--litellm takes a version such as 1.83.14, not {self.litellm!r}.")
        version = LiteLLM(self.litellm) if self.litellm else LiteLLM.installed()
        if version.too_old:
            raise NotStartedError(f"the guard supports LiteLLM 1.80 and newer, not {version.version}.")


def _ping(url: str) -> None:
    import redis

    try:
        with redis.Redis.from_url(url, socket_timeout=3, socket_connect_timeout=3) as client:
            client.ping()
    except (redis.RedisError, ValueError, OSError) as error:
        raise NotStartedError(f"no answer from the Redis at {without_password(url)}: {error}") from error


def without_password(url: str) -> str:
    """Return the URL as it may be printed."""
    return re.sub(r"//[^@/]*@", "//***@", url)
