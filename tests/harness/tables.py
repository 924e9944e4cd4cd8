"""Tables of which `pytest` alone plays a part: a look at each promise, and all of it in CI (`-m tables`)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterable

_REST = pytest.mark.tables


def part(values: Iterable[Any], *always: Any) -> list[Any]:
    """Parameters of a test, of which all but those named are left to `-m tables`; tuples are several at once."""
    return [
        pytest.param(*(value if isinstance(value, tuple) else (value,)), marks=() if value in always else _REST)
        for value in values
    ]


def every(step: int) -> pytest.MarkDecorator:
    """For a test that plays its table at once, `table[::every]`: one cell in so many, and all with `-m tables`.

    A step that has no divisor in common with the table's dimensions meets every row and column.
    """
    whole = pytest.param(1, marks=_REST, id="all")
    return pytest.mark.parametrize("every", [pytest.param(step, id=f"one in {step}"), whole])
