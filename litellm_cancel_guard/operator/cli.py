"""The command line: options, exit codes and words; what they do is in the modules they call."""

from __future__ import annotations

import atexit
import gc
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

import click

from litellm_cancel_guard.host import setup_files

if TYPE_CHECKING:
    from litellm_cancel_guard.host.setup_files import ConfigReading, LiteLLM

_INIT_EXIT_CODES = """\b
Exit codes:
  0  done; what is left to do, if anything, is printed
  1  the config names the guard wrongly; what to write instead is printed
  2  nothing was done: no such file, invalid YAML, a folder that can't be written, an unsupported LiteLLM
"""

_DEMO_EXIT_CODES = """\b
Exit codes:
  0  played to the end, and the guard left every slot free
  1  the guard refused a turn or left a slot taken, or a proxy didn't start
  2  nothing was started: an option that can't be used, or a missing extra
  130, 143  ended by SIGINT (Ctrl-C), SIGTERM
"""

_SHIM_OUTCOMES = {"written": "Wrote", "updated": "Updated", "unchanged": "Already there"}


class _Refusal(click.ClickException):
    exit_code = 2


# By the module that has them: a command needs what it imports, and no other's.
_ELSEWHERE = {
    **dict.fromkeys(("status", "slots", "release", "reconcile"), "slots"),
    "kill": "kill",
    "why": "why",
    "stats": "stats",
    "workers": "workers",
    "doctor": "doctor",
    "settings": "in_force",
}


class _Commands(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*super().list_commands(ctx), *_ELSEWHERE]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _ELSEWHERE:
            return super().get_command(ctx, cmd_name)
        module = import_module(f"litellm_cancel_guard.operator.commands.{_ELSEWHERE[cmd_name]}")
        command: click.Command = getattr(module, cmd_name)
        return command


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="litellm-cancel-guard")
def main() -> None:
    """Give every max_parallel_requests slot of a LiteLLM proxy back exactly once."""
    # Python's end has the collector look at all that was imported, several times: a fifth of a command's CPU.
    atexit.register(gc.freeze)


@main.command(epilog=_INIT_EXIT_CODES)
@click.option("--config", required=True, type=click.Path(path_type=Path), help="LiteLLM's config.yaml.")
@click.option(
    "--shim",
    type=click.Choice(["auto", "always"]),
    default="auto",
    show_default=True,
    help="When to write the file: if the LiteLLM installed here needs it, or in any case (for a config that goes to "
    "another machine).",
)
@click.pass_context
def init(ctx: click.Context, config: Path, shim: str) -> None:
    """Prepare a LiteLLM config for the guard.

    LiteLLM up to 1.93 loads a callback only from a file beside its config: this writes that file, where it is needed,
    and prints the lines to add to the config. Repeating it does no harm.
    """
    litellm = setup_files.LiteLLM.installed()
    try:
        reading = setup_files.read_config(config)
        _say_shim(litellm, config, always=shim == "always")
    except setup_files.SetupError as error:
        raise _Refusal(str(error)) from error
    _say_lines(reading, config)
    ctx.exit(1 if reading.wrong or reading.misplaced else 0)


@main.command(epilog=_DEMO_EXIT_CODES)
@click.option("--redis", metavar="URL", help="Use this Redis instead of an embedded one.")
@click.option("--litellm", metavar="VERSION", help="Run another LiteLLM than the one installed, in a venv of its own.")
@click.option("--serve", is_flag=True, help="Leave the guarded proxy running, to be tried by hand.")
@click.option("--turns", type=click.IntRange(min=1), default=12, show_default=True, help="How many turns to play.")
@click.pass_context
def demo(ctx: click.Context, redis: str | None, litellm: str | None, serve: bool, turns: int) -> None:
    """Show the leak and its cure on a real LiteLLM.

    Starts a provider that streams, a Redis and two LiteLLM proxies on the loopback, without and with the guard, each
    with one key capped at 4, and plays a client that hangs up: it takes about a minute and leaves nothing behind but
    the venv of --litellm, which is kept for the next time (~/.cache/litellm-cancel-guard).
    """
    from litellm_cancel_guard.demo.options import Options
    from litellm_cancel_guard.demo.play import run

    ctx.exit(run(Options(redis=redis, litellm=litellm, serve=serve, turns=turns)))


def _say_shim(litellm: LiteLLM, config: Path, *, always: bool) -> None:
    if litellm.too_old and not always:
        raise setup_files.SetupError(
            f"LiteLLM {litellm.version} is installed here, and the guard supports 1.80 and newer. "
            "Update LiteLLM, or write the file for another machine with --shim always."
        )
    if litellm.release is None:
        click.echo(f"Which LiteLLM is installed here can't be told ({litellm.version or 'no package of that name'}).")
    elif litellm.needs_shim:
        click.echo(f"LiteLLM {litellm.version} loads callbacks only from files beside its config.")
    elif not always:
        setup_files.refuse_other_file(config)
        click.echo(f"LiteLLM {litellm.version} imports installed packages: no file is needed beside the config.")
        return
    path, outcome = setup_files.write_shim(config)
    click.echo(f"{_SHIM_OUTCOMES[outcome]}: {path}")


def _say_lines(reading: ConfigReading, config: Path) -> None:
    for name in reading.wrong:
        click.echo(f"{config} names {name}, which is not the guard's name: that is {setup_files.CALLBACK}.")
    for where in reading.misplaced:
        click.echo(f"{config} names the guard under {where}, where it has no effect.")
    if reading.present and not reading.wrong:
        click.echo(f"{config} already names {setup_files.CALLBACK}.")
        return
    if reading.includes:
        click.echo(f"{config} includes other files, which were not looked into.")
    verb = "Write this instead" if reading.wrong else "Add this"
    place = ", in the litellm_settings that are there" if reading.has_settings else ""
    click.echo(f"{verb}{place}:\n\n{reading.corrected()}\n")


if __name__ == "__main__":
    main()
