"""What `doctor` says of deployments whose every stream ends without an end, as running workers have seen it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from litellm_cancel_guard.host.endless import told
from litellm_cancel_guard.operator.commands.finding import Finding
from litellm_cancel_guard.operator.commands.redis_options import Refusal, ask
from litellm_cancel_guard.redaction.plain import plain

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from litellm_cancel_guard.gauge.connect import Target


def about_streams(names: Iterable[str]) -> Iterator[Finding]:
    """Say of each deployment once what can be set for it."""
    for name in dict.fromkeys(plain(str(name)) for name in names):
        yield Finding("streams", True, f"{told(name)}.", warning=True)


def about_streams_of(target: Target) -> Iterator[Finding]:
    """Say so of what the workers on a Redis have seen; nothing where they can't be asked."""
    try:
        seen = ask(target, lambda survey: survey.workers())
    except Refusal:
        return
    yield from about_streams(name for one in seen for name in one.record.endless)
