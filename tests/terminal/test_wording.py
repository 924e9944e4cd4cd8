"""What a provider writes, and a client through it, can't keep the event loop busy."""

from __future__ import annotations

import re
import time
from itertools import chain

import pytest

from litellm_cancel_guard.host.limiter import refusal
from litellm_cancel_guard.lease import routes
from litellm_cancel_guard.terminal import frames, meanings, reading, transport, wording

READ_FOREIGN_TEXT = (wording, meanings, transport, frames, reading, routes, refusal)
RUNS = (
    *(" ", "\n", " \r", "/+", "./", "/a.", "a", ".", "1"),
    *("Error ", "Error: ", 'File "', "litellm.", '"type" ', "data: "),
)
LENGTH = 20_000


def patterns() -> dict[str, re.Pattern[str] | re.Pattern[bytes]]:
    found = {}
    for name, value in chain.from_iterable(vars(module).items() for module in READ_FOREIGN_TEXT):
        for at, pattern in enumerate(value if isinstance(value, tuple) else (value,)):
            if isinstance(pattern, re.Pattern):
                found[f"{name} {at}"] = pattern
    return found


@pytest.mark.parametrize("pattern", patterns().values(), ids=patterns().keys())
def test_no_run_of_characters_is_searched_again_from_each_of_them(pattern: re.Pattern[str] | re.Pattern[bytes]) -> None:
    """20,000 characters take 2 ms of CPU at most; by the square of the length they took 2 s and more."""
    for run in RUNS:
        text = run * (LENGTH // len(run))
        given = text if isinstance(pattern.pattern, str) else text.encode()
        began = time.process_time()
        for _ in pattern.finditer(given):  # type: ignore[arg-type]
            pass
        assert time.process_time() - began < 0.5, f"a run of {run!r}"


def test_a_long_message_is_cleaned_for_as_long_as_one_that_can_be_sent() -> None:
    began = time.process_time()
    for run in RUNS:
        assert len(wording.cleaned(run * 2**18, 429)) <= 2000
    assert time.process_time() - began < 0.5
