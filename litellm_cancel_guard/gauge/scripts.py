"""The Lua scripts, as they are sent to Redis."""

from __future__ import annotations

import functools
import hashlib
from dataclasses import dataclass
from importlib import resources

# What every script of a layout starts with, and what each that does the same starts with, beside its own file.
_PRELUDES = {"counted": "counted_mirror", "acquire": "holders", "list": "listed"}


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
    preludes = [_PRELUDES[part] for part in name.split("_") if part in _PRELUDES]
    return _script(name, "".join(map(_read, [*preludes, name])))


@functools.cache
def load_lined(layout: str, step: str) -> Script:
    """Return the script of the line that does *step* where slots are kept in *layout*."""
    mirror = ["counted_mirror"] if layout == "counted" else []
    parts = [*mirror, f"{layout}_held", "line", f"line_{step}"]
    return _script(f"{layout}_line_{step}", "".join(map(_read, parts)))


@functools.cache
def load_together(name: str) -> Script:
    """Return a script that runs the script *name* for many gauges of one node at once."""
    return _script(f"{name}_together", _read("together").replace("@BODY@", load(name).text.rstrip()))


@functools.cache
def load_followed(acquire: Script, text: str) -> Script:
    """Return a script that runs *acquire* and, if it gave the slot, *text*."""
    both = _read("followed").replace("@ACQUIRE@", acquire.text.rstrip()).replace("@FOLLOW@", text.rstrip())
    return _script(f"{acquire.name}_followed", both)


def _script(name: str, text: str) -> Script:
    return Script(name, text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest())


def _read(name: str) -> str:
    lua = resources.files("litellm_cancel_guard.gauge") / "lua"
    return (lua / f"{name}.lua").read_text(encoding="utf-8")
