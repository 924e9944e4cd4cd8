"""The settings as LiteLLM has read its config: read once for each worker, whoever asks first."""

from __future__ import annotations

import os
import sys
from functools import cached_property
from pathlib import Path
from typing import Any

from litellm_cancel_guard.redaction.records import log
from litellm_cancel_guard.settings import Settings, SettingsError, load_settings


class Configured:
    """Looks only when it is asked: LiteLLM builds its callbacks before it knows their settings."""

    @cached_property
    def block(self) -> Any:
        """The guard's block; None where there is none."""
        blocks = getattr(sys.modules.get("litellm"), "callback_settings", None)
        return blocks.get("cancel_guard") if isinstance(blocks, dict) else None

    @cached_property
    def settings(self) -> Settings:
        """What it says, with the environment; the defaults where it is wrong, which the log says once."""
        try:
            return load_settings(self.block, os.environ)
        except SettingsError as error:
            log.error("cancel_guard: %s. The guard runs with its defaults", error)
            return Settings()


def config_path() -> Path | None:
    """Return the file that the running proxy was started with, or None where it was none or isn't one any more."""
    if os.environ.get("LITELLM_CONFIG_BUCKET_NAME"):
        return None
    server = sys.modules.get("litellm.proxy.proxy_server")
    named = getattr(server, "user_config_file_path", None) or os.environ.get("CONFIG_FILE_PATH")
    return Path(named) if isinstance(named, str) and Path(named).is_file() else None
