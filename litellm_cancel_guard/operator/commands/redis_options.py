"""What the commands that ask Redis have in common: their options, the way there, and how they fail."""

from __future__ import annotations

import asyncio
import functools
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from litellm_cancel_guard.gauge import GaugeCorruptError, GaugeUnavailableError
from litellm_cancel_guard.gauge.connect import NoRedisError, Target
from litellm_cancel_guard.gauge.survey import Survey
from litellm_cancel_guard.host import setup_files
from litellm_cancel_guard.host.redis_settings import target_of
from litellm_cancel_guard.operator.overview import AmbiguousError, AtRestError, NotHeldError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

TIMEOUT_SECONDS = 5.0
_WINDOW = "LITELLM_RATE_LIMIT_WINDOW_SIZE"

_OPTIONS = (
    click.option("--redis", "url", metavar="URL", help="The Redis of the proxy, e.g. redis://:password@host:6379/0."),
    click.option(
        "--config",
        type=click.Path(path_type=Path),
        help="LiteLLM's config.yaml, for the Redis in it. Without both: REDIS_HOST etc. of the environment.",
    ),
    click.option("--namespace", help="LiteLLM's namespace in that Redis, if it is in neither of them."),
    click.option("--json", "as_json", is_flag=True, help="For scripts."),
)


FAILURES = """\
  2  it was asked in a wrong way: an option, the config, a beginning that fits several
  3  no such slot
  4  Redis can't be asked, or a key of another type lies there
"""


class Refusal(click.ClickException):
    """What was asked can't be done; one line says why."""

    exit_code = 2


class Undone(Refusal):
    """It could be done, and was not."""

    exit_code = 1


class NotFound(Refusal):
    """What was asked for is not there."""

    exit_code = 3


class Away(Refusal):
    """Redis can't be asked, or what lies there is not the guard's."""

    exit_code = 4


def redis_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give *command* a `target` made of the options that name a Redis, and `as_json`."""

    @functools.wraps(command)
    def with_target(*args: Any, url: str | None, config: Path | None, namespace: str | None, **kwargs: Any) -> Any:
        return command(*args, target=found_target(url, config, namespace), **kwargs)

    for option in reversed(_OPTIONS):
        with_target = option(with_target)
    return with_target


def found_target(url: str | None, config: Path | None, namespace: str | None) -> Target:
    """Return the Redis that the options mean.

    Raises:
        Refusal: they mean none.
    """
    try:
        target = target_of(url, setup_files.load_mapping(config) if config else None, os.environ)
    except (NoRedisError, setup_files.SetupError, ValueError) as error:
        raise Refusal(str(error)) from error
    return Target(target.params, namespace, target.source) if namespace is not None else target


def ask(target: Target, act: Callable[[Survey], Awaitable[Any]]) -> Any:
    """Return what *act* finds in *target*.

    Raises:
        Refusal: Redis did not answer, a key of it is of another type, or what was asked for is not there.
        AtRestError: the key that was asked for holds no slot.
    """
    window = _window_seconds()

    async def asked() -> Any:
        try:
            client = target.client(TIMEOUT_SECONDS)
        except Exception as error:
            # It connects when it is first used: what it was given can't be used at all.
            raise Refusal(f"Redis at {target} can't be used: {error}") from error
        try:
            return await act(Survey(client, namespace=target.namespace, window_seconds=window))
        finally:
            await client.aclose()

    try:
        return asyncio.run(asked())
    except GaugeUnavailableError as error:
        raise Away(f"Redis at {target} can't be asked: {error}") from error
    except GaugeCorruptError as error:
        raise Away(str(error)) from error
    except AtRestError:
        raise
    except AmbiguousError as error:
        raise Refusal(str(error)) from error
    except NotHeldError as error:
        raise NotFound(str(error)) from error


def _window_seconds() -> float:
    given = os.environ.get(_WINDOW, "60")
    try:
        return float(given)
    except ValueError:
        raise Refusal(f"{_WINDOW} is no number of seconds: {given!r}.") from None


def say_json(value: Any) -> None:
    """Print *value* for a script."""
    click.echo(json.dumps(value, indent=2))
