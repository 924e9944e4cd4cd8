"""A key that is read from standard input."""

from __future__ import annotations

import io

import click
import pytest

from litellm_cancel_guard.operator.commands.keys import Key


def read(monkeypatch: pytest.MonkeyPatch, brought: io.StringIO | None) -> str:
    monkeypatch.setattr("sys.stdin", brought)
    return Key().convert("-", None, None)


def test_while_the_shell_completes_a_line_nothing_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", brought := io.StringIO("sk-secret\n"))
    completing = click.Context(click.Command("slots"), resilient_parsing=True)

    assert (Key().convert("-", None, completing), brought.tell()) == ("-", 0)


@pytest.mark.parametrize(
    ("brought", "said"),
    [(None, "no standard input"), (io.StringIO("\n"), "no key"), (io.StringIO("\udcff\udcfe\n"), "no text")],
)
def test_what_brings_no_key_is_one_clear_message(
    monkeypatch: pytest.MonkeyPatch, brought: io.StringIO | None, said: str
) -> None:
    with pytest.raises(click.BadParameter, match=said):
        read(monkeypatch, brought)


def test_one_line_is_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    assert read(monkeypatch, io.StringIO("sk-secret\nand more\n")) == "sk-secret"
