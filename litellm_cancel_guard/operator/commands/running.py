"""What `doctor --url` says of a proxy that runs: each worker as ``/cancel_guard/health`` shows it."""

from __future__ import annotations

import json
import os
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Any

from litellm_cancel_guard.operator.commands.endless import about_streams
from litellm_cancel_guard.operator.commands.finding import Finding
from litellm_cancel_guard.operator.commands.redis_options import Refusal
from litellm_cancel_guard.operator.commands.workers import lines
from litellm_cancel_guard.redaction.plain import plain

if TYPE_CHECKING:
    from collections.abc import Iterator

KEYS = ("LITELLM_MASTER_KEY", "LITELLM_API_KEY")
_SECONDS = 10.0
_NOT_ALLOWED = (400, 401, 403)
_NOT_THERE = 404


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Follows none: the key would go along to wherever it leads."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        """Return no request."""


def asked(url: str) -> Iterator[Finding]:
    """Ask the proxy at *url*, with the key of the environment.

    Raises:
        Refusal: that is no URL of a proxy.
    """
    if not url.startswith(("http://", "https://")):
        raise Refusal(f"--url has to begin with http:// or https://, not {url!r}.")
    try:
        said = _get(f"{url.rstrip('/')}/cancel_guard/health")
        yield from map(_worker, said["workers"])
        # An older guard says nothing of it.
        names = (name for one in said["workers"] for name in one.get("streams_without_end", ()))
        yield from about_streams(names)
    except urllib.error.HTTPError as answer:
        yield Finding("proxy", False, _refusal(answer.code))
    except OSError as fault:
        yield Finding("proxy", False, f"{url} can't be reached: {getattr(fault, 'reason', fault)}")
    except (ValueError, KeyError, TypeError, AttributeError):
        yield Finding("proxy", False, f"{url} answers, but not as the guard does: is it the proxy's own address?")


def _get(url: str) -> Any:
    key = next((os.environ[name] for name in KEYS if os.environ.get(name)), "")
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    request = urllib.request.Request(url, headers=headers)  # noqa: S310 - http or https, see `asked`
    with urllib.request.build_opener(_NoRedirect).open(request, timeout=_SECONDS) as answer:
        return json.load(answer)


def _refusal(status: int) -> str:
    if status == _NOT_THERE:
        return (
            "it has no /cancel_guard/health: the guard is not loaded there, is older than that route, or "
            "callback_settings: cancel_guard: admin_routes is not true"
        )
    if status in _NOT_ALLOWED:
        return f"it refuses ({status}): put an admin's key into {KEYS[0]}"
    return f"it answers {status} to /cancel_guard/health"


def _worker(said: Any) -> Finding:
    check = f"worker {plain(str(said['host']))}:{plain(str(said['pid']))}"
    what = f"guard {said['guard']}, LiteLLM {said['litellm']}, limiter: {said['limiter'] or 'not told'}"
    if said["state"] == "silent":
        silent = f"silent for {said['last_beat_seconds']:.0f} s: killed, its loop stands still, or it has no Redis"
        return Finding(check, False, plain(f"{what}; {silent}"))
    if said["settings"] and not said["settings"].get("enabled"):
        return Finding(check, False, plain(f"{what}; switched off by its settings"))
    if missing := said["not_in_force"]:
        return Finding(check, False, plain(f"{what}; {'; '.join(lines(missing))}"))
    return Finding(check, True, plain(f"{what}; all in force, {said['slots'] or 0} slots held"))
