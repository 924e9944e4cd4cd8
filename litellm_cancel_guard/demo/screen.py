"""What the demo prints: live in a terminal, line by line elsewhere."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from litellm_cancel_guard.demo.patterns import Turn


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a pattern left behind on one proxy.

    Attributes:
        turns: how many were played.
        refused: how many of them the proxy answered with 429.
        slots_left: slots in flight by Redis, with nothing in flight.
    """

    turns: int
    refused: int
    slots_left: int

    @property
    def balanced(self) -> bool:
        """Whether nothing was refused and nothing is left."""
        return not self.refused and not self.slots_left


class Screen:
    """Standard output; only a terminal gets colours and a spinner."""

    def __init__(self) -> None:
        self._console = Console(highlight=False)

    def say(self, text: str = "") -> None:
        """Print a line, or several."""
        self._console.print(text, soft_wrap=True, markup=False)

    def title(self, text: str) -> None:
        """Print a line that begins a section."""
        self._console.print(f"\n{text}", style="bold", soft_wrap=True, markup=False)

    @contextmanager
    def waiting(self, text: str) -> Iterator[None]:
        """Show that something takes a while."""
        if not self._console.is_terminal:
            self.say(f"{text} ...")
            yield
            return
        with self._console.status(f"{text} ..."):
            yield
        self.say(f"{text}: done")

    def turn(self, number: int, total: int, turn: Turn) -> None:
        """Print one turn, when it is over."""
        style = "red" if turn.refused else "yellow" if turn.left else "green"
        slots = str(turn.left) if turn.held is None else f"{turn.held} -> {turn.left}"
        line = f"  {number:>2}/{total}  {turn.story:<40}  slots in Redis: {slots}"
        self._console.print(line, style=style, soft_wrap=True, markup=False)

    def table(self, rows: Sequence[tuple[str, Outcome, Outcome]]) -> None:
        """Print what each pattern left behind, without and with the guard."""
        table = Table()
        table.add_column("")
        table.add_column("without the guard", justify="right")
        table.add_column("with the guard", justify="right")
        for name, bare, guarded in rows:
            table.add_row(name, *(f"{each.refused} of {each.turns}" for each in (bare, guarded)))
            table.add_row("slots left in Redis", *(str(each.slots_left) for each in (bare, guarded)), end_section=True)
        self._console.print()
        self._console.print(table)
