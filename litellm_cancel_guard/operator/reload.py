"""Settings that change without a restart: LiteLLM reads its config once, so each worker watches the guard's own block.

What can't be watched stays as it was at the start: a config from a bucket or a database, a block in an included file,
and a file mounted by ``subPath``, which Kubernetes never updates.
"""

from __future__ import annotations

import asyncio
import os
from contextvars import Context
from typing import TYPE_CHECKING, Any

from litellm_cancel_guard.host.environ import resolved
from litellm_cancel_guard.host.setup_files import SetupError, load_mapping, misplaced_blocks
from litellm_cancel_guard.redaction.records import log
from litellm_cancel_guard.settings import SettingsError, load_settings

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from litellm_cancel_guard.settings import Settings


POLL_SECONDS = 2.0
# Read once, when the worker starts: into what LiteLLM's streams, a thread and a registry were made of.
AT_THE_START = ("on_truncation", "loop_stall_seconds", "on_loop_stall", "metrics_per_key")


class InForce:
    """Stands for the settings wherever they were handed to, and is what was adopted last."""

    def __init__(self, settings: Settings) -> None:
        self._now = settings

    def adopt(self, settings: Settings) -> Settings:
        """Be *settings* from now on, but for what takes a restart; return them."""
        started = {name: getattr(self._now, name) for name in AT_THE_START}
        waiting = [name for name, value in started.items() if getattr(settings, name) != value]
        if waiting:
            log.warning("cancel_guard: %s: takes effect when the worker is restarted", ", ".join(waiting))
        self._now = settings.model_copy(update=started)
        return self._now

    def __getattr__(self, name: str) -> Any:
        return getattr(self._now, name)


class ConfigWatch:
    """Watches one file. What can't be read or is wrong changes nothing, and is said once.

    Args:
        path: of the config.
        block: the guard's block as LiteLLM has read it; None where there was none.
        adopt: is given the settings of each block that is another one.
    """

    def __init__(self, path: Path, block: Any, adopt: Callable[[Settings], None]) -> None:
        self._path = path
        self._block = block
        self._adopt = adopt
        self._seen: tuple[int, int, int] | None = None
        self._last: tuple[int, int, int] | None = None
        self._complaint = ""
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Look every two seconds on the running loop, which ends it; the first look has been taken by `look`."""
        # Not in the context of the worker's first request, which would be kept for the life of the worker.
        self._task = Context().run(asyncio.get_running_loop().create_task, self._watch())

    def look(self) -> None:
        """Adopt what the file says, if that is something else; what has changed since the last look, at the next."""
        self._take(self._read())

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(POLL_SECONDS)
            try:
                # A file on a network may let its reader wait.
                self._take(await asyncio.to_thread(self._read))
            except Exception:
                log.exception("cancel_guard: the config could not be looked at; the next look follows")

    def _read(self) -> Any:
        """Return the block in the file; the one that is known if it is the same, is being written or can't be read."""
        try:
            found = self._path.stat()
            seen = found.st_mtime_ns, found.st_size, found.st_ino
            # A look may come while the file is being written, empty or in half: it is read when the next one finds it
            # the same, or the defaults would be in force for two seconds.
            steady, self._last = self._last in (None, seen), seen
            if seen == self._seen or not steady:
                return self._block
            config = load_mapping(self._path)
        except (OSError, SetupError) as error:
            self._complain(f"{error} What was in force stays")
            return self._block
        first, self._seen = self._seen is None, seen
        if lines := misplaced_blocks(config):
            self._complain("; ".join(lines))
        blocks = config.get("callback_settings")
        block = resolved(blocks.get("cancel_guard"), os.environ) if isinstance(blocks, dict) else None
        # It has come from somewhere else than this file.
        return self._block if first and block is None else block

    def _take(self, block: Any) -> None:
        if block == self._block:
            return
        self._block = block
        try:
            settings = load_settings(block, os.environ)
        except SettingsError as error:
            self._complain(f"{error}. What was in force stays")
            return
        self._complaint = ""
        self._adopt(settings)

    def _complain(self, text: str) -> None:
        if text != self._complaint:
            self._complaint = text
            log.error("cancel_guard: %s", text)
