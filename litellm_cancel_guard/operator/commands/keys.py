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
        # While the shell completes a line, nothing is read: it would wait for a key in the middle of a TAB.
        if value != _FROM_STDIN or (ctx is not None and ctx.resilient_parsing):
            return str(value)
        if sys.stdin is None:
            self.fail("there is no standard input", param, ctx)
        asked = sys.stdin.isatty()
        key = click.prompt("Key", hide_input=True, err=True) if asked else sys.stdin.readline()
        if not (key := str(key).strip()):
            self.fail("standard input brought no key", param, ctx)
        if not key.isprintable():
            self.fail("standard input brought no text", param, ctx)
        return key
