"""`settings`: what a proxy with this config and this environment goes by."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Column, Table

from litellm_cancel_guard.host import setup_files
from litellm_cancel_guard.host.environ import resolved
from litellm_cancel_guard.host.limiter import FAILS_CLOSED, would_fail_closed
from litellm_cancel_guard.operator.commands.redis_options import Refusal, say_json
from litellm_cancel_guard.settings import Settings, closed_unless_set, sound_settings, sources, unknown_variables

_EXIT_CODES = """\b
Exit codes:
  0  shown
  1  shown, and something is wrong: a proxy goes by all the rest
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


@dataclass(frozen=True)
class GoneBy:
    """What a proxy goes by.

    Attributes:
        settings: with the defaults where a setting is wrong.
        where: where each value comes from.
        wrong: a line for each setting, variable or block that is wrong.
    """

    settings: Settings
    where: dict[str, str]
    wrong: list[str]


def settings_of(config: Path | None) -> GoneBy:
    """Return what a proxy with this config, and this environment, goes by.

    Raises:
        Refusal: the file is no config.
    """
    block = block_of(config)
    settings, wrong = sound_settings(block, os.environ)
    wrong += unknown_variables(os.environ)
    wrong += setup_files.misplaced_blocks(setup_files.load_mapping(config)) if config is not None else []
    where = sources(block, os.environ)
    left_out = [name for name in where if where[name] != "default" and name not in settings.model_fields_set]
    where |= dict.fromkeys(left_out, "default, for it is set wrongly")
    if where["on_redis_error"] == "default" and config is not None and _fails_closed(config):
        where["on_redis_error"] = f"general_settings: {FAILS_CLOSED}"
        return GoneBy(closed_unless_set(settings), where, wrong)
    return GoneBy(settings, where, wrong)


def _fails_closed(config: Path) -> bool:
    return would_fail_closed(resolved(setup_files.load_mapping(config).get("general_settings"), os.environ))


@click.command(epilog=_EXIT_CODES, short_help="Show each setting and where it comes from.")
@click.option("--config", type=click.Path(path_type=Path), help="LiteLLM's config.yaml.")
@click.option("--json", "as_json", is_flag=True, help="For scripts.")
def settings(config: Path | None, as_json: bool) -> None:
    """Show each setting, what it is, and where that comes from: the environment, the config, or the default."""
    found = settings_of(config)
    values = found.settings.model_dump()
    if as_json:
        say_json({name: {"value": value, "source": found.where[name]} for name, value in values.items()})
    else:
        told = (Column(name, overflow="fold") for name in ("value", "from", ""))
        table = Table(Column("setting", no_wrap=True), *told)
        for name, field in Settings.model_fields.items():
            table.add_row(name, _plain(values[name]), found.where[name], field.description)
        Console().print(table)
    if found.wrong:
        raise click.ClickException("; ".join(found.wrong))


def _plain(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return "[" + ",\n".join(value) + "]"
    return f"{value:g}" if isinstance(value, float) else str(value)
