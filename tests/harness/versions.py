"""The LiteLLM versions under test, and what each needs to install and start today."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from litellm_cancel_guard.host.setup_files import LiteLLM


@dataclass(frozen=True)
class Version:
    """A LiteLLM release, with lines for `uv --override` and why they are needed."""

    number: str
    overrides: tuple[str, ...] = field(default=(), repr=False)
    reason: str = field(default="", repr=False)

    def at_least(self, *release: int) -> bool:
        return self.release >= release

    @property
    def namespaces_slots(self) -> bool:
        """Whether LiteLLM's slots lie under the namespace of `cache_params` (F7)."""
        return self.at_least(1, 91) and not self.at_least(1, 110)

    @property
    def release(self) -> tuple[int, ...]:
        digits = self.number.split("rc")[0].split(".dev")[0]
        return tuple(int(part) for part in digits.split(".")[:3])

    @property
    def loads_packages(self) -> bool:
        """Older releases import a callback only from a file beside the config, never from site-packages."""
        return self.at_least(1, 94)

    @property
    def pass_through_auth_is_free(self) -> bool:
        """Older releases refuse to start with `auth: true` on a pass-through endpoint without a licence."""
        return self.at_least(1, 84)

    @property
    def notices_hang_ups(self) -> bool:
        """Older releases pin uvicorn 0.31, which says it speaks ASGI 2.4: Starlette then waits for a failing send
        to tell it that the client has left, and uvicorn's sends never fail. The stream is read to its end."""
        return self.at_least(1, 81)

    @property
    def tells_broken_bodies(self) -> bool:
        """Older releases take half a body for a whole one, and say what their parser makes of it
        (llms/custom_httpx/aiohttp_transport.py)."""
        return self.at_least(1, 94)

    @property
    def loses_words_before_a_cut(self) -> bool:
        """Older releases drop what has come and was not read yet when the connection breaks: newer ones hand it on
        (llms/custom_httpx/aiohttp_transport.py `_unread_payload`; 1.109.1 has it, 1.108.7 not)."""
        return not self.at_least(1, 109)

    @property
    def hooks_genai(self) -> bool:
        """Older releases call no hook on Gemini's native routes (proxy/google_endpoints/endpoints.py)."""
        return self.at_least(1, 84)

    @property
    def spells_genai(self) -> bool:
        """Older releases write `data: ` twice before a native stream of Gemini's (seen on 1.86.7): no SDK reads it."""
        return self.at_least(1, 90)

    @property
    def opens_early(self) -> bool:
        """Newer releases can open a stream with keep-alives while the provider is still silent
        (`sse_keepalive_ping_interval_seconds`, proxy/common_request_processing.py)."""
        return self.at_least(1, 103)

    @property
    def fails_closed(self) -> bool:
        """Older releases have no `general_settings.fail_closed_rate_limit_enforcement`."""
        return self.at_least(1, 105)

    @property
    def mixes_streams(self) -> bool:
        """Older releases keep one queue for all translated streams of /v1/messages: requests at the same time get
        chunks of each other (llms/anthropic/experimental_pass_through/adapters/streaming_iterator.py)."""
        return not self.at_least(1, 83)

    @property
    def serves_cursor(self) -> bool:
        """Others give the stream of `/cursor/chat/completions` an argument too many (proxy/common_request_processing.py
        `select_data_generator`)."""
        return not self.at_least(1, 90) or self.at_least(1, 103)

    @property
    def samples(self) -> bool:
        """Older releases have no `allow_sampling` for a tool's server."""
        return self.at_least(1, 90)

    @property
    def samples_at_once(self) -> bool:
        """Older releases have the client of mcp 1, which answers one sampling after the other."""
        return self.at_least(1, 103)

    @property
    def looks_early(self) -> bool:
        """Others have no look at a cached key's limits before the body is read (1.108.14 has it, 1.109.1 not)."""
        return self.at_least(1, 109, 2) or (1, 108, 14) <= self.release < (1, 109)

    @property
    def spins(self) -> bool:
        """Older releases never come back from a Gemini stream that ends in half an event (#26015)."""
        return not self.at_least(1, 95)

    def __str__(self) -> str:
        return self.number


_UNPUBLISHED = "pins companions (litellm-proxy-extras, litellm-enterprise, certifi) to releases that the index lacks"
_COMPANIONS = ("litellm-proxy-extras<=0.4.110", "litellm-enterprise", "certifi>=2025")
# From 1.110 `[proxy]` asks for a distribution that has no release; the proxy's code is in litellm's own wheel.
_NO_PROXY_DISTRIBUTION = ("litellm-proxy; python_version < '3'",)
_OLDER_FASTAPI = ("fastapi==0.136.3",)
_FLAT_DEPENDANT = "imports fastapi.dependencies.utils.get_flat_dependant, gone since"

VERSIONS = (
    Version("1.80.17"),
    Version("1.83.14"),
    Version("1.86.7"),
    Version("1.90.7"),
    Version("1.93.2"),
    Version("1.94.3"),
    Version("1.96.2", _OLDER_FASTAPI, _FLAT_DEPENDANT),
    Version("1.103.11", ("litellm-proxy-extras<=0.4.110", "certifi>=2025"), _UNPUBLISHED),
    Version("1.108.7"),
    Version("1.108.14", _COMPANIONS, _UNPUBLISHED),
    Version("1.109.1", ("litellm-proxy-extras<=0.4.110", "certifi>=2025"), _UNPUBLISHED),
    Version("1.109.3", _COMPANIONS, _UNPUBLISHED),
    Version("1.110.0", (*_COMPANIONS, *_NO_PROXY_DISTRIBUTION), _UNPUBLISHED),
    Version("1.110.2", (*_COMPANIONS, *_NO_PROXY_DISTRIBUTION), _UNPUBLISHED),
)
# Of those that are played once only (`python -m tests.latest`), what installs without telling what it lacks.
_OTHERS = (Version("1.95.1", _OLDER_FASTAPI, _FLAT_DEPENDANT),)


def installed() -> Version | None:
    """The version in the running interpreter's environment, if there is one."""
    here = LiteLLM.installed().version
    return named(here) if here else None


def named(number: str) -> Version:
    """The version of that number; what one that is not listed needs is asked of its failing installation."""
    return next((version for version in (*VERSIONS, *_OTHERS) if version.number == number), Version(number))


def newest_on_the_index(within: str = "") -> str:
    """The number of the newest release that this Python can install; empty if there is none *within* a range."""
    uv = shutil.which("uv", path=f"{Path(sys.executable).parent}:{os.environ.get('PATH', '')}") or "uv"
    command = [
        uv,
        "pip",
        "compile",
        "--quiet",
        "--no-deps",
        "--no-header",
        "--no-annotate",
        "--python",
        sys.executable,
        "-",
    ]
    done = subprocess.run(command, input=f"litellm{within}", capture_output=True, text=True, check=not within)
    return done.stdout.strip().removeprefix("litellm==")


def chosen(option: str) -> list[Version]:
    """What `--litellm` asks for: `installed`, `all`, `latest`, or numbers with commas between them."""
    if option == "all":
        return list(VERSIONS)
    if option == "latest":
        return [named(newest_on_the_index())]
    if option != "installed":
        return [named(number.strip()) for number in option.split(",")]
    here = installed()
    if here is None:
        raise LookupError("LiteLLM is not installed here: name the versions to test, e.g. --litellm 1.83.14,1.109.1")
    return [here]
