"""The Lua scripts, as they are sent to Redis."""

from __future__ import annotations

import functools
import hashlib
from dataclasses import dataclass
from importlib import resources

# What a script starts with, beside its own file: what those of a layout do the same, and its quick way before that.
_PRELUDES = {
    "slots_acquire": ("holders",),
    "counted_acquire": ("holders", "counted_acquire_quick", "counted_mirror"),
    "counted_release": ("counted_release_quick", "counted_mirror"),
    "counted_renew": ("counted_mirror",),
    "counted_count": ("counted_mirror",),
    "list": ("listed",),
    "list_lined": ("listed",),
}
# Those that have a frame of their own to run for many gauges at once.
SPARING = ("slots_renew", "counted_renew")
_texts: dict[str, str] = {}


@dataclass(frozen=True, slots=True)
class Script:
    """A script and the name Redis has for it.

    Attributes:
        text: what EVAL takes.
        sha: what EVALSHA takes.
    """

    name: str
    text: str
    sha: str


@functools.cache
def load(name: str) -> Script:
    """Return the script *name*, read once; raise FileNotFoundError if the package lacks it."""
    return _script(name, "".join(map(_read, [*_PRELUDES.get(name, ()), name])))


@functools.cache
def load_lined(layout: str, step: str) -> Script:
    """Return the script of the line that does *step* where slots are kept in *layout*."""
    mirror = ["counted_mirror"] if layout == "counted" else []
    parts = [*mirror, f"{layout}_held", "line", f"line_{step}"]
    return _script(f"{layout}_line_{step}", "".join(map(_read, parts)))


@functools.cache
def load_together(name: str) -> Script:
    """Return a script that runs the script *name* for many gauges of one node at once."""
    frame = _read(f"{name}_together" if name in SPARING else "together")
    return _script(f"{name}_together", frame.replace("@BODY@", load(name).text.rstrip()))


@functools.cache
def load_followed(acquire: Script, text: str) -> Script:
    """Return a script that runs *acquire* and, if it gave the slot, *text*."""
    both = _read("followed").replace("@ACQUIRE@", acquire.text.rstrip()).replace("@FOLLOW@", text.rstrip())
    return _script(f"{acquire.name}_followed", both)


def text_by_sha(sha: str) -> str | None:
    """Return the text of the script that has this *sha*; None where none of those that were loaded has."""
    return _texts.get(sha)


def _script(name: str, text: str) -> Script:
    sha = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()
    return Script(name, _texts.setdefault(sha, text), sha)


def _read(name: str) -> str:
    lua = resources.files("litellm_cancel_guard.gauge") / "lua"
    return (lua / f"{name}.lua").read_text(encoding="utf-8")
