"""What `doctor` warns of around the guard: what hides from it that a client has left, or holds up its worker."""

from __future__ import annotations

from importlib import metadata
from typing import TYPE_CHECKING

from litellm_cancel_guard.host.setup_files import LiteLLM
from litellm_cancel_guard.operator.commands.finding import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

_PINGS = "sse_keepalive_ping_interval_seconds"
# LiteLLM has the setting from 1.103 on (litellm/__init__.py).
_HAS_PINGS = (1, 103)
_SLOW_TIKTOKEN = (0, 12)
# Before, an HTTP/2 client's reset is not told of while the stream is silent (emmett-framework/granian, 2.8.3).
_GRANIAN_TELLS = (2, 8, 3)


def about_packages() -> Iterator[Finding]:
    """Warn of what is installed beside LiteLLM."""
    if installed_release("tiktoken")[:2] == _SLOW_TIKTOKEN:
        text = (
            "0.12 counts a long run of letters in quadratic time, and its worker serves nobody meanwhile (LiteLLM 1.83 "
            "pins it): upgrade LiteLLM, or set on_loop_stall: exit."
        )
        yield Finding("tiktoken", True, text, warning=True)
    granian = installed_release("granian")
    if () < granian < _GRANIAN_TELLS:
        text = (
            f"{'.'.join(map(str, granian))} does not tell of an HTTP/2 client that leaves a silent stream, which keeps "
            "its slot meanwhile: upgrade it to 2.8.3, if you use --run_granian."
        )
        yield Finding("granian", True, text, warning=True)


def about_pings(config: Mapping[str, Any]) -> Iterator[Finding]:
    """Warn where nothing is sent to the client of a silent stream."""
    settings = config.get("litellm_settings")
    asked = settings.get(_PINGS) if isinstance(settings, dict) else None
    if not asked and numbers(LiteLLM.installed().version or "")[:2] >= _HAS_PINGS:
        text = (
            "off: a client that leaves before the first chunk, or behind HAProxy, Apache or Varnish, keeps its slot "
            f"till the provider's next byte. litellm_settings: {_PINGS}: 2 shortens that (docs/reverse-proxies.md)."
        )
        yield Finding("pings", True, text, warning=True)


def installed_release(package: str) -> tuple[int, ...]:
    """Return the numbers of the version that is installed; empty if none is."""
    try:
        return numbers(metadata.version(package))
    except metadata.PackageNotFoundError:
        return ()


def numbers(version: str) -> tuple[int, ...]:
    """Return the first three numbers of *version*."""
    return tuple(int(part) for part in version.split(".")[:3] if part.isdecimal())
