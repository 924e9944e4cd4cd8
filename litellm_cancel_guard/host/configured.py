"""The settings as LiteLLM has read its config: read once for each worker, whoever asks first."""

from __future__ import annotations

import os
import sys
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from litellm_cancel_guard.redaction.records import log
from litellm_cancel_guard.settings import sound_settings, unknown_variables

if TYPE_CHECKING:
    from litellm_cancel_guard.settings import Settings


class Configured:
    """Looks only when it is asked: LiteLLM builds its callbacks before it knows their settings."""

    @cached_property
    def block(self) -> Any:
        """The guard's block; None where there is none."""
        blocks = getattr(sys.modules.get("litellm"), "callback_settings", None)
        return blocks.get("cancel_guard") if isinstance(blocks, dict) else None

    @cached_property
    def settings(self) -> Settings:
        """What it says, with the environment; what is wrong is left out, and the log says so once."""
        settings, wrong = sound_settings(self.block, os.environ)
        for line in wrong:
            off = "" if settings.enabled else " The guard is off"
            log.error("cancel_guard: %s. Everything else that is set holds.%s", line, off)
        for line in unknown_variables(os.environ):
            log.error("cancel_guard: %s", line)
        return settings


def config_path() -> Path | None:
    """Return the file that the running proxy was started with, or None where it was none or isn't one any more."""
    if os.environ.get("LITELLM_CONFIG_BUCKET_NAME"):
        return None
    server = sys.modules.get("litellm.proxy.proxy_server")
    named = getattr(server, "user_config_file_path", None) or os.environ.get("CONFIG_FILE_PATH")
    return Path(named) if isinstance(named, str) and Path(named).is_file() else None
