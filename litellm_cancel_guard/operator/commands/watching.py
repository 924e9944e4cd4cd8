"""What is shown again and again: on a terminal in its place, into a pipe one after the other."""

from __future__ import annotations

import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.live import Live
from rich.measure import Measurement
from rich.padding import Padding
from rich.table import Table

from litellm_cancel_guard.operator.commands.redis_options import Refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rich.console import RenderableType

_SECONDS = 2.0
_ENDLESS = 10_000


def watch(look: Callable[[], Any], shown: Callable[[Any], RenderableType]) -> None:
    """Show what *look* finds until Ctrl-C; a Redis that is away for a while is no reason to end, but at the start.

    Raises:
        Refusal: the first look failed.
    """
    first, on = shown(look()), console()
    with suppress(KeyboardInterrupt, BrokenPipeError):
        if on.is_terminal and not isinstance(first, str):
            _in_its_place(first, on, lambda: shown(look()))
        _say(on, first)
        while True:
            time.sleep(_SECONDS)
            try:
                _say(on, shown(look()))
            except Refusal as error:
                # Not among the lines that a script reads.
                click.echo(error.message, err=True)


def _in_its_place(first: RenderableType, on: Console, look: Callable[[], RenderableType]) -> None:
    with Live(first, console=on, auto_refresh=False) as live:
        while True:
            time.sleep(_SECONDS)
            try:
                live.update(look(), refresh=True)
            except Refusal as error:
                live.update(error.message, refresh=True)


def _say(on: Console, what: RenderableType) -> None:
    if isinstance(what, str):
        click.echo(what)
    else:
        on.print(what)
    sys.stdout.flush()


def say_rows(columns: Sequence[str], rows: Sequence[Sequence[str]], title: str) -> None:
    """Show a table, or, where a terminal is too narrow for it, its rows one below the other.

    Cut, the ids of a worker's slots would be the same, and none could be used in the next command.
    """
    on, table = console(), Table(*columns, title=title)
    for row in rows:
        table.add_row(*row)
    if Measurement.get(on, on.options.update_width(_ENDLESS), table).maximum <= on.width:
        on.print(table)
        return
    on.print(title)
    for first, *others in rows:
        click.echo(f"\n{first}")
        for name, cell in zip(columns[1:], others, strict=True):
            on.print(Padding(f"{name}: {cell}" if "\n" not in cell else cell, (0, 0, 0, 2), expand=False))


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """Leave it to the caller: rich (13.9, console.py) ends the process with exit code 1, which is another thing."""
        raise  # noqa: PLE0704 - rich calls it as it handles that error


def console() -> Console:
    """Return one that cuts nothing: a pipe has no width, and a hash that is cut can't be used in the next command."""
    # With emoji it reads a table of 3,600 of them, and makes one of a name that is written with colons.
    console = _Console(emoji=False)
    return console if console.is_terminal else _Console(emoji=False, width=200)
