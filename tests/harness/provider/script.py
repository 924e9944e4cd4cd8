"""What the provider shall do, written into the request itself: `[[run=a1 chunks=5 stall=2]]`."""

from __future__ import annotations

import re
from dataclasses import dataclass, fields, replace
from typing import Literal

_MARK = re.compile(r"\[\[(run=[\w=. -]+)\]\]")


@dataclass(frozen=True)
class Script:
    """One act. Steps count the chunks sent so far: at step 0 only the headers are out."""

    run: str
    """Requests with the same run are counted together."""
    chunks: int = 4
    """How many chunks a whole stream has; each carries the text of `word(index)`."""
    only: str = ""
    """Act on requests for this model alone; the next mark is for the others (fallbacks). A tool's model is `tool`,
    and that of the request which brings its result `follow-up`."""

    shape: str = ""
    """What else a whole stream holds, or how else it ends: a name of `shapes`; `calls_tool` or
    `calls_unknown_tool`."""

    stall: str = ""
    """Hold the answer until it is released: before the `headers`, at this step, or a stream before its body's `end`,
    when its last event is out."""
    delay: float = 0.0
    """Seconds before anything is answered."""
    gap: float = 0.0
    """Seconds after each chunk."""

    status: int = 0
    """Answer with this HTTP status instead."""
    retry_after: int = 0
    """A Retry-After header beside the status."""
    fail_first: int = 0
    """Only so many attempts of the run fail, by whatever is said here, then they succeed; 0: all of them."""

    error_step: int = -1
    """Send an error event in the stream at this step, and end it; at 0, a plain answer is an error too, with a 200."""
    error_status: int = 429
    """The status that the error event names."""
    error_as: str = ""
    """What it looks like instead of an event: `pretty`, `array`, `open_array`, `html`, half an event (`cut`), an
    event that names its status by `words` alone, or, behind a stream's opening, an event (`opened`), or, behind a
    response's, `failed-` and its code; or `told-` and a name of `told`."""

    says: int = -1
    """Say that group of `sentences` in every error, instead of the usual words."""

    break_step: int = -1
    """Break the stream off at this step."""
    break_by: Literal["reset", "cut", "end", "unanswered"] = "reset"
    """An RST; a connection closed in mid-body, of a plain answer too; a body that ends whole, without its terminal
    marker; or an RST before anything is answered, whatever the step."""

    proxy: str = ""
    """What the files beside the proxy's config shall do to the request (harness/beside); not for the provider."""

    def __str__(self) -> str:
        said = [(f.name, getattr(self, f.name), f.default) for f in fields(self)]
        return f"[[{' '.join(f'{name}={value}' for name, value, default in said if value != default)}]]"

    def stalls(self, step: int | str) -> bool:
        return self.stall == str(step)

    def at(self, attempt: int) -> Script:
        """What is done at that attempt of the run: the same, but for failures that are over by then."""
        over = bool(self.fail_first) and attempt > self.fail_first
        return replace(self, status=0, error_step=-1, break_step=-1, stall="", delay=0.0) if over else self


def word(index: int) -> str:
    """The text of one chunk, recognizable on the other side of the proxy."""
    return f"word{index} "


def words(count: int) -> str:
    """The text of a whole answer."""
    return "".join(word(index) for index in range(count))


def find(body: str, model: str) -> Script:
    """The first script in the body that is meant for this model."""
    scripts = (_parse(mark) for mark in _MARK.findall(body))
    return next((script for script in scripts if not script.only or script.only == model), Script("unmarked"))


def marks(body: str) -> str:
    """Every script in the body."""
    return "".join(f"[[{mark}]]" for mark in _MARK.findall(body))


def _parse(mark: str) -> Script:
    said = dict(item.split("=", 1) for item in mark.split())
    blank = Script(said.pop("run"))
    # The default of a field tells how to read it: 0 an int, "" a word.
    return replace(blank, **{name: type(getattr(blank, name))(value) for name, value in said.items()})
