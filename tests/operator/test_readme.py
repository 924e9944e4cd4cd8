"""The table of settings in docs/ is what the model says; `python -m tests.operator.test_readme` writes it."""

from __future__ import annotations

from pathlib import Path

from litellm_cancel_guard.operator.reload import AT_THE_START
from litellm_cancel_guard.settings import Settings

PAGE = Path(__file__).parents[2] / "docs" / "settings.md"
BEGIN, END = "<!-- settings:begin -->\n", "<!-- settings:end -->"


def table() -> str:
    lines = ["| setting | default | |", "| --- | --- | --- |"]
    for name, field in Settings.model_fields.items():
        default = "a third of the lease" if name == "heartbeat_seconds" else f"`{_plain(field.default)}`"
        restart = " Takes a restart." if name in AT_THE_START else ""
        lines.append(f"| `{name}` | {default} | {field.description}{restart} |")
    return "\n".join(lines) + "\n"


def _plain(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return f"[{', '.join(value)}]"
    return f"{value:g}" if isinstance(value, float) else str(value)


def rewritten(text: str) -> str:
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}{table()}{END}{after}"


def test_the_page_has_every_setting_as_the_model_says() -> None:
    text = PAGE.read_text()
    assert rewritten(text) == text, "write it with: python -m tests.operator.test_readme"


if __name__ == "__main__":
    PAGE.write_text(rewritten(PAGE.read_text()))
