"""What `doctor` says of the line: whether what stands in front waits as long, and whether Redis lets requests wait."""

from __future__ import annotations

from typing import TYPE_CHECKING

from litellm_cancel_guard.operator.commands.finding import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from litellm_cancel_guard.gauge.probe import Examined
    from litellm_cancel_guard.settings import Settings

# HAProxy's `timeout server` is often 50 s, nginx' `proxy_read_timeout` is 60 s, and the provider takes a while, too.
_PATIENCE_SECONDS = 45.0
_RIGHTS = (
    "its user needs the commands on hashes and sorted sets for keys that begin with {api_key: "
    "(docs/how-it-works.md, The line)"
)


def about_line(settings: Settings, found: Examined | None) -> Iterator[Finding]:
    """Say what there is to say of the line; *found* is what the Redis is like, None where there is none."""
    on = settings.max_wait_seconds > 0 and settings.max_waiting > 0
    if on and settings.max_wait_seconds > _PATIENCE_SECONDS:
        yield Finding("max_wait_seconds", True, _impatient(settings.max_wait_seconds), warning=True)
    if found is not None and not found.fault:
        yield from _of_redis(settings, found, on=on)


def _impatient(seconds: float) -> str:
    return (
        f"{seconds:g} is more than {_PATIENCE_SECONDS:g}: nginx gives a silent request up after 60 s, HAProxy often "
        "after 50, and its client gets a 504 instead of a slot or a 429. Set it to less, or see to it that what stands "
        "in front, and the client, waits for longer (docs/reverse-proxies.md)."
    )


def _of_redis(settings: Settings, found: Examined, *, on: bool) -> Iterator[Finding]:
    if found.unlined:
        outcome = "none does, whatever max_wait_seconds says" if on else "the metadata of no key may say so"
        text = f"Redis does not let requests wait, and {outcome}: {found.unlined}; {_RIGHTS}."
        yield Finding("line", not on, text, warning=not on)
    elif found.untold and on:
        text = (
            f"Redis tells no worker of a slot that is handed to a request ({found.untold}), and each looks once a "
            f"second: its user needs PUBLISH, SUBSCRIBE and the channels {found.channel}*."
        )
        yield Finding("line", True, text, warning=True)
    elif on:
        most = settings.max_waiting
        yield Finding("line", True, f"{most} requests of a key wait for up to {settings.max_wait_seconds:g} s each.")
