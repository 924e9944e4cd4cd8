"""`settings`: what a proxy with this config and this environment goes by."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from litellm_cancel_guard.host import setup_files
from litellm_cancel_guard.host.environ import resolved
from litellm_cancel_guard.host.limiter import FAILS_CLOSED, would_fail_closed
from litellm_cancel_guard.operator.commands.redis_options import Refusal, say_json
from litellm_cancel_guard.settings import Settings, SettingsError, closed_unless_set, load_settings, sources

_EXIT_CODES = """\b
Exit codes:
  0  shown
  1  a setting is wrong: a proxy would go by the defaults
  2  no such file, or no valid YAML
"""


def block_of(config: Path | None) -> Any:
    """Return the guard's block of a config; None where it has none.

    Raises:
        Refusal: the file is no config.
    """
    if config is None:
        return None
    try:
        blocks = setup_files.load_mapping(config).get("callback_settings")
    except setup_files.SetupError as error:
        raise Refusal(str(error)) from error
    return resolved(blocks.get("cancel_guard"), os.environ) if isinstance(blocks, dict) else None


def settings_of(config: Path | None) -> tuple[Settings, dict[str, str]]:
    """Return the settings that a proxy with this config goes by, and where each value comes from.

    Raises:
        Refusal: the file is no config.
        SettingsError: a setting is wrong.
    """
    block = block_of(config)
    settings, where = load_settings(block, os.environ), sources(block, os.environ)
    if where["on_redis_error"] == "default" and config is not None and _fails_closed(config):
        return closed_unless_set(settings), {**where, "on_redis_error": f"general_settings: {FAILS_CLOSED}"}
    return settings, where


def _fails_closed(config: Path) -> bool:
    return would_fail_closed(resolved(setup_files.load_mapping(config).get("general_settings"), os.environ))


@click.command(epilog=_EXIT_CODES, short_help="Show each setting and where it comes from.")
@click.option("--config", type=click.Path(path_type=Path), help="LiteLLM's config.yaml.")
@click.option("--json", "as_json", is_flag=True, help="For scripts.")
def settings(config: Path | None, as_json: bool) -> None:
    """Show each setting, what it is, and where that comes from: the environment, the config, or the default."""
    try:
        in_force, where = settings_of(config)
    except SettingsError as error:
        raise click.ClickException(str(error)) from error
    if as_json:
        say_json({name: {"value": value, "source": where[name]} for name, value in in_force.model_dump().items()})
        return
    table = Table("setting", "value", "from", "")
    for name, field in Settings.model_fields.items():
        table.add_row(name, _plain(getattr(in_force, name)), where[name], field.description)
    Console().print(table)


def _plain(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value)
