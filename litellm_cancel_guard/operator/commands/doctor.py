"""`doctor`: looks at everything that the guard needs, and says of each what to do if it isn't there."""

from __future__ import annotations

import os
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from litellm_cancel_guard.gauge.connect import NoRedisError
from litellm_cancel_guard.gauge.probe import examine
from litellm_cancel_guard.host import proven, setup_files
from litellm_cancel_guard.host.limiter import FAILS_CLOSED
from litellm_cancel_guard.host.redis_settings import target_of
from litellm_cancel_guard.operator.commands import grafts, running
from litellm_cancel_guard.operator.commands.around import about_packages, about_pings, numbers
from litellm_cancel_guard.operator.commands.endless import about_streams_of
from litellm_cancel_guard.operator.commands.finding import Finding
from litellm_cancel_guard.operator.commands.in_force import settings_of
from litellm_cancel_guard.operator.commands.lined import about_line
from litellm_cancel_guard.operator.commands.redis_options import TIMEOUT_SECONDS, Refusal, say_json

if TYPE_CHECKING:
    from collections.abc import Iterator

    from litellm_cancel_guard.gauge.connect import Target
    from litellm_cancel_guard.gauge.probe import Examined
    from litellm_cancel_guard.operator.commands.in_force import GoneBy

_EXIT_CODES = """\b
Exit codes:
  0  nothing has to be done; a warning (!) says what to look at
  1  something has to be done; it is printed
  2  the config can't be read
"""
_LIMITER = "litellm/proxy/hooks/parallel_request_limiter_v3.py"
_OLDEST_REDIS = (5, 0)


@click.command(epilog=_EXIT_CODES, short_help="Look at everything the guard needs, and say what to do.")
@click.option("--config", type=click.Path(path_type=Path), help="LiteLLM's config.yaml.")
@click.option("--redis", "url", metavar="URL", help="The Redis of the proxy, instead of the one in the config.")
@click.option(
    "--url",
    "proxy",
    metavar="URL",
    help=f"Ask the proxy that runs there instead, with an admin's key from {' or '.join(running.KEYS)}.",
)
@click.option(
    "--patience",
    metavar="SECONDS",
    type=click.FloatRange(min=0),
    default=60.0,
    show_default=True,
    help="How long LiteLLM may take to be loaded, to try the guard on it; 0: it is not tried.",
)
@click.option("--json", "as_json", is_flag=True, help="For scripts.")
def doctor(config: Path | None, url: str | None, proxy: str | None, patience: float, as_json: bool) -> None:
    """Look at the config, how the guard is loaded, LiteLLM and Redis; run it where the proxy runs.

    In Redis it takes a slot of a key that nobody has, waits in line for it and gives it back, which shows that its
    rights suffice. In a process of its own it attaches the guard to LiteLLM's limiter on that Redis, as each worker
    does, and says what would be in force. With --url it says so of each worker of a running proxy, where admin_routes
    is true.
    """
    findings = [*running.asked(proxy)] if proxy else _examined_here(config, url, patience)
    if as_json:
        say_json([asdict(finding) for finding in findings])
    else:
        for finding in findings:
            click.echo(f"{_mark(finding)} {finding.check}: {finding.text}")
    sys.exit(0 if all(finding.ok for finding in findings) else 1)


def _mark(finding: Finding) -> str:
    if not finding.ok:
        return click.style("✗", fg="red")
    return click.style("!", fg="yellow") if finding.warning else click.style("✓", fg="green")


def _examined_here(config: Path | None, url: str | None, patience: float) -> list[Finding]:
    redis, target, examined = _redis(url, config)
    findings = [*_litellm(), *(_config(config) if config else ())]
    in_force = settings_of(config)
    findings.append(_settings(in_force))
    # What is wrong with these it would find, too, and only later; a LiteLLM that was withdrawn is not to be loaded.
    fit = all(finding.ok for finding in findings if finding.check in ("LiteLLM", "limiter"))
    findings += [redis, *about_line(in_force.settings, examined)]
    if target is not None and redis.ok:
        findings += about_streams_of(target)
    if fit and patience and (target is None or redis.ok):
        findings += grafts.tried(target, in_force.settings, patience)
    return findings


def _litellm() -> Iterator[Finding]:
    litellm = setup_files.LiteLLM.installed()
    if litellm.version is None:
        yield Finding("LiteLLM", False, "is not installed in this environment; run this where the proxy runs.")
        return
    if litellm.too_old:
        yield Finding("LiteLLM", False, f"{litellm.version} is older than 1.80, the oldest that is supported: upgrade.")
        return
    yield _proven(litellm.version)
    yield _limiter()
    yield from about_packages()


def _proven(version: str) -> Finding:
    book = proven.known()
    stands = book.of(version)
    if stands is proven.Standing.WITHDRAWN:
        return Finding("LiteLLM", False, f"{version}: {book.withdrawn[version]}. Install another one.")
    if stands is proven.Standing.UNPROVEN:
        # Not wrong by itself: each worker proves at its start that both count the same.
        why = book.why_not(version)
        return Finding("LiteLLM", not book.fault, f"{version}, which the guard was not proven on ({why}); see its log.")
    between = "" if stands is proven.Standing.PROVEN else ", between two that it was proven on"
    return Finding("LiteLLM", True, f"{version}{between}")


def _limiter() -> Finding:
    if os.environ.get("LEGACY_MULTI_INSTANCE_RATE_LIMITING", "").lower() == "true":
        return Finding(
            "limiter",
            False,
            "LEGACY_MULTI_INSTANCE_RATE_LIMITING chooses one that the guard does not know: remove it.",
        )
    found = setup_files.distribution()
    try:
        text = Path(str(found.locate_file(_LIMITER))).read_text(encoding="utf-8") if found else ""
    except OSError:
        text = ""
    if "def should_rate_limit" not in text:
        return Finding("limiter", False, "this LiteLLM has none of a shape that the guard knows; LiteLLM counts alone.")
    shape = "slots" if "parallel_slot_id" in text else "counting"
    return Finding("limiter", True, f"the {shape} limiter")


def _config(config: Path) -> Iterator[Finding]:
    try:
        reading = setup_files.read_config(config)
    except setup_files.SetupError as error:
        raise Refusal(str(error)) from error
    if reading.present and not reading.wrong and not reading.misplaced:
        yield Finding("config", True, f"{config} names {setup_files.CALLBACK}.")
    else:
        lines = reading.corrected().replace("\n", "\n    ")
        yield Finding("config", False, f"{config} does not name the guard as it must. Write:\n    {lines}")
    yield _loading(config)
    yield from about_pings(setup_files.load_mapping(config))


def _loading(config: Path) -> Finding:
    litellm = setup_files.LiteLLM.installed()
    try:
        shim = setup_files.shim_beside(config)
    except setup_files.SetupError as error:
        return Finding("loading", False, str(error))
    if shim is None and litellm.needs_shim:
        return Finding(
            "loading",
            False,
            f"this LiteLLM needs {setup_files.SHIM_NAME} beside {config}: litellm-cancel-guard init --config {config}",
        )
    if shim not in (None, setup_files.SHIM):
        return Finding("loading", False, f"the file is outdated: litellm-cancel-guard init --config {config}")
    return Finding("loading", True, "as an installed package." if shim is None else "by the file beside the config.")


def _settings(found: GoneBy) -> Finding:
    settings, where = found.settings, found.where
    if found.wrong:
        off = "" if settings.enabled else " The guard is off."
        return Finding("settings", False, f"{'; '.join(found.wrong)}. Everything else that is set holds.{off}")
    if not settings.enabled:
        return Finding("settings", False, "enabled is false: the guard stands aside.")
    litellms = where["on_redis_error"]
    told = f"; on_redis_error: {settings.on_redis_error}, by {litellms}" if FAILS_CLOSED in litellms else ""
    return Finding("settings", True, f"valid{told}; `litellm-cancel-guard settings` shows them.")


def _redis(url: str | None, config: Path | None) -> tuple[Finding, Target | None, Examined | None]:
    try:
        target = target_of(url, setup_files.load_mapping(config) if config else None, os.environ)
    except NoRedisError as error:
        # Not wrong by itself: one worker needs no Redis.
        alone = "" if config is None else " With several workers a key could fill its cap once in each."
        return Finding("Redis", config is not None, f"{error}{alone}", warning=config is not None), None, None
    except (setup_files.SetupError, ValueError) as error:
        return Finding("Redis", False, str(error)), None, None
    found = examine(target, counting=_counts(), timeout_seconds=TIMEOUT_SECONDS)
    return _told(target, found), target, found


def _told(target: Target, found: Examined) -> Finding:
    if found.fault:
        return Finding("Redis", False, f"{target} (from {target.source}): {found.fault}")
    if not found.product and () < numbers(found.version) < _OLDEST_REDIS:
        return Finding("Redis", False, f"{target} is {found.version}; scripts that ask the clock need 5.0: upgrade.")
    what = found.product or f"version {found.version}"
    return Finding("Redis", True, f"{target} (from {target.source}), {what}, all rights needed.")


def _counts() -> bool:
    return setup_files.LiteLLM.installed().needs_shim
