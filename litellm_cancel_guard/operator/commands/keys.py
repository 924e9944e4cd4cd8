"""How a command is given a key: it is a secret, and a command line is read by others (`ps`, the shell's history)."""

from __future__ import annotations

import sys
from typing import Any

import click

_FROM_STDIN = "-"


class Key(click.ParamType):  # type: ignore[type-arg]
    """A key, its hash or how that begins; ``-`` is one line of standard input, asked for without echo on a terminal."""

    name = "key"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return what was given, or read."""
        if value != _FROM_STDIN:
            return str(value)
        asked = sys.stdin.isatty()
        key = click.prompt("Key", hide_input=True, err=True) if asked else sys.stdin.readline()
        if not (key := str(key).strip()):
            self.fail("standard input brought no key", param, ctx)
        return key
