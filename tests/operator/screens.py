"""Draws docs/demo.svg and docs/status.svg, 80 columns wide: `python -m tests.operator.screens`.

Both commands really run: the demo stays (`--serve`), two clients stream from its guarded proxy, and `status` asks its
Redis. Takes two minutes.
"""

from __future__ import annotations

import io
import os
import pty
import re
import signal
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from tests.cli.command import COMMAND, environ

if TYPE_CHECKING:
    from collections.abc import Iterator

DOCS = Path(__file__).parents[2] / "docs"
COLUMNS = 80
CLIENTS = 2
SPINNER = r"[^\n]*[\u2800-\u28ff][^\n]*\n?"
SERVED = "Ctrl-C here ends it."


@contextmanager
def in_a_terminal(*args: str) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """Run the command line in a terminal of so many columns; hand over its process and the terminal's other end."""
    ours, theirs = pty.openpty()
    env = environ({"COLUMNS": str(COLUMNS), "LINES": "60", "TERM": "xterm-256color"})
    with subprocess.Popen([*COMMAND, *args], stdin=theirs, stdout=theirs, stderr=theirs, env=env) as process:
        os.close(theirs)
        try:
            yield process, ours
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(30)
            os.close(ours)


def read(end: int, until: str | None = None) -> str:
    """Return what was printed up to some words, or to the end."""
    text = ""
    while until is None or until not in text:
        try:
            piece = os.read(end, 65536)
        except OSError:  # Linux' word for a terminal that nobody writes to any more
            break
        if not piece:
            break
        text += piece.decode(errors="replace")
    return text


def draw(name: str, title: str, shown: str) -> None:
    """Write the picture of what a terminal showed."""
    still = re.sub(r"\x1b\[\?25[lh]|\x1b\[\d*[AK]|[^\n]*\r(?!\n)", "", shown.replace("\r\n", "\n"))
    still = re.sub(SPINNER, "", still)
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True)
    console.print(Text.from_ansi(still.strip("\n")))
    # What reads the docs loads nothing from elsewhere.
    (DOCS / name).write_text(
        re.sub(r"@font-face \{.*?\}\s*|<!--.*?-->\s*", "", console.export_svg(title=title), flags=re.DOTALL)
    )


def main() -> None:
    """Run both commands and draw them."""
    with in_a_terminal("demo", "--serve") as (_, end):
        shown = read(end, until=SERVED)
        draw("demo.svg", "litellm-cancel-guard demo", shown[: shown.index("The guarded proxy stays")])
        curl = re.search(r"curl -N .*?\}'", " ".join(shown.split()))
        redis = re.search(r"redis-cli -u (\S+),", " ".join(shown.split()))
        assert curl, shown
        assert redis, shown
        clients = [
            subprocess.Popen(
                curl[0], shell=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
            )
            for _ in range(CLIENTS)
        ]
        time.sleep(3)
        with in_a_terminal("status", "--redis", redis[1]) as (_, other):
            draw("status.svg", "litellm-cancel-guard status", read(other))
        for client in clients:
            os.killpg(client.pid, signal.SIGTERM)


if __name__ == "__main__":
    main()
