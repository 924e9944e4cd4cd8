"""What LiteLLM needs beside and in its config to load the guard: the shim file and the callback line."""

from __future__ import annotations

import difflib
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from importlib import metadata
    from pathlib import Path


CALLBACK = "litellm_cancel_guard.handler"
BLOCK = "callback_settings: cancel_guard"
SHIM_NAME = "litellm_cancel_guard.py"
SHIM_MARK = "# Written by litellm-cancel-guard init:"
# Under gunicorn the config's folder comes first on sys.path, and the shim's import finds the shim itself. With a
# __path__ it is a package that goes on in the installed one; without, the worker dies with "is not a package".
SHIM = f"""\
{SHIM_MARK} LiteLLM up to 1.93 loads a callback only from a file beside its config, and this file hands it
# the installed package. Where it is itself imported as that package, its __path__ leads on to the installed modules.
__path__ = __import__("pkgutil").extend_path([], "litellm_cancel_guard")
from litellm_cancel_guard.entry import __getattr__, handler  # noqa: F401
"""
OLDEST_SUPPORTED = (1, 80)
FIRST_TO_IMPORT_PACKAGES = (1, 94)

_OURS = re.compile(r"cancel[_-]?guard", re.IGNORECASE)
_KINDS = {"str": "string", "dict": "mapping", "int": "number", "float": "number", "bool": "truth value"}
_RELEASE = re.compile(r"(\d+)\.(\d+)")


class SetupError(Exception):
    """What the user gave can't be used; the message says what and what to do."""


def distribution() -> metadata.Distribution | None:
    """Return what brought the package `litellm`, or None where nothing did.

    That is `litellm`, but for another distribution with the same package: `litellm-core` 1.106.0 to 1.106.4.
    """
    from importlib import metadata

    try:
        return metadata.distribution("litellm")
    except metadata.PackageNotFoundError:
        return next(filter(_brings_litellm, metadata.distributions()), None)


def _brings_litellm(found: metadata.Distribution) -> bool:
    # By its files, once its name is like it: reading the lists of files of all that is installed takes half a second.
    named = (found.metadata["Name"] or "").lower().startswith("litellm")
    return named and any(path.as_posix() == "litellm/__init__.py" for path in found.files or ())


@dataclass(frozen=True, slots=True)
class LiteLLM:
    """The LiteLLM that the config is for.

    Attributes:
        version: as its package states it, or None where none can be read.
    """

    version: str | None

    @classmethod
    def installed(cls) -> LiteLLM:
        """Read the version from the package's metadata; importing LiteLLM itself takes seconds."""
        found = distribution()
        return cls(found.version if found else None)

    @property
    def release(self) -> tuple[int, int] | None:
        """Major and minor number, or None where the version isn't one."""
        match = _RELEASE.match(self.version or "")
        return (int(match[1]), int(match[2])) if match else None

    @property
    def too_old(self) -> bool:
        """Whether it is known to be older than every version the guard supports."""
        return self.release is not None and self.release < OLDEST_SUPPORTED

    @property
    def needs_shim(self) -> bool:
        """Whether only a file beside the config will do; an unknown version gets one, as every version accepts it."""
        return self.release is None or self.release < FIRST_TO_IMPORT_PACKAGES


@dataclass(frozen=True, slots=True)
class ConfigReading:
    """What a config says about callbacks.

    Attributes:
        callbacks: `litellm_settings.callbacks`, a single name as a list of one.
        misplaced: dotted paths of other settings that name the guard.
        has_settings: whether there is a `litellm_settings` to add to.
        includes: whether parts of the config are in other files.
    """

    callbacks: list[str]
    misplaced: list[str]
    has_settings: bool
    includes: bool

    @property
    def wrong(self) -> list[str]:
        """Names that mean the guard and aren't its instance."""
        return [name for name in self.callbacks if _OURS.search(name) and not _is_handler(name)]

    @property
    def present(self) -> bool:
        """Whether the guard's instance is named."""
        return any(map(_is_handler, self.callbacks))

    def corrected(self) -> str:
        """Return the YAML lines of a `callbacks` that names the guard once and keeps everything else."""
        others = [name for name in self.callbacks if not _OURS.search(name)]
        return f"litellm_settings:\n  callbacks: {json.dumps([*others, CALLBACK])}"


def read_config(path: Path) -> ConfigReading:
    """Read a LiteLLM config as LiteLLM would.

    Raises:
        SetupError: it can't be read, or LiteLLM would fail at it with a traceback.
    """
    config = load_mapping(path)
    settings = config.get("litellm_settings")
    if settings is None:
        settings = {}
    if not isinstance(settings, dict):
        raise SetupError(f"{path}: litellm_settings is a {_kind(settings)}, and LiteLLM expects a mapping there.")
    return ConfigReading(
        callbacks=_as_names(settings.get("callbacks"), path),
        misplaced=_misplaced(config, settings),
        has_settings="litellm_settings" in config,
        includes="include" in config,
    )


def write_shim(config: Path) -> tuple[Path, Literal["written", "updated", "unchanged"]]:
    """Write the shim beside `config`, never over a file that isn't ours.

    Raises:
        SetupError: such a file stands there, or it can't be written.
    """
    path, there = _shim_beside(config)
    if there == SHIM:
        return path, "unchanged"
    try:
        path.write_text(SHIM, encoding="utf-8")
    except OSError as error:
        raise SetupError(f"{path} can't be written: {_reason(error)}.") from error
    return path, "written" if there is None else "updated"


def refuse_other_file(config: Path) -> None:
    """Raise SetupError if a file that isn't ours stands where the shim would: LiteLLM prefers it to the package."""
    _shim_beside(config)


def shim_beside(config: Path) -> str | None:
    """Return what is in the shim beside *config*, or None; raise SetupError if a file that isn't ours stands there."""
    return _shim_beside(config)[1]


def _shim_beside(config: Path) -> tuple[Path, str | None]:
    # LiteLLM looks beside the path it is given, not beside what that path links to (a ConfigMap's files are links).
    path = config.parent / SHIM_NAME
    try:
        there = path.read_text(encoding="utf-8") if path.exists() or path.is_symlink() else None
    except (OSError, UnicodeDecodeError) as error:
        raise SetupError(f"{path} can't be read: {_reason(error)}.") from error
    if there is not None and not there.startswith(SHIM_MARK):
        raise SetupError(
            f"{path} is there and isn't ours, and LiteLLM would load it for the guard; move it away and run this again."
        )
    return path, there


def load_mapping(path: Path) -> dict[str, Any]:
    """Return the config at *path*.

    Raises:
        SetupError: it can't be read, is no YAML or no mapping.
    """
    import yaml

    try:
        loaded = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise SetupError(f"{path} can't be read: {_reason(error)}.") from error
    except Exception as error:
        # Of 2026-13-45 PyYAML (6.0, constructor.py) raises what Python's own date does, and of brackets without end a
        # RecursionError: a command would end in a traceback, and a worker log one every two seconds.
        raise SetupError(f"{path} is no valid YAML: {_where(error)}.") from error
    if loaded is None:
        return {}
    if not isinstance(loaded, dict):
        raise SetupError(f"{path} is no LiteLLM config: it holds a {_kind(loaded)}, not a mapping.")
    return loaded


def _as_names(callbacks: Any, path: Path) -> list[str]:
    if callbacks is None:
        return []
    if isinstance(callbacks, str):
        return [callbacks]
    if isinstance(callbacks, list):
        return [str(name) for name in callbacks]
    raise SetupError(f"{path}: litellm_settings.callbacks is a {_kind(callbacks)}, and LiteLLM expects a list there.")


def _misplaced(config: dict[str, Any], settings: dict[str, Any]) -> list[str]:
    candidates = {"callbacks": config.get("callbacks")}
    candidates |= {
        f"litellm_settings.{name}": settings.get(name)
        for name in ("success_callback", "failure_callback", "service_callbacks")
    }
    return [where for where, value in candidates.items() if value is not None and _OURS.search(str(value))]


def misplaced_blocks(config: dict[str, Any]) -> list[str]:
    """Return a line for each block that is meant for the guard and stands where nobody reads it."""
    sections = {"": config} | {
        f"{name}: ": section
        for name in ("litellm_settings", "general_settings", "router_settings", "callback_settings")
        if isinstance(section := config.get(name), dict)
    }
    return [
        f"{where}{name}: nobody reads that: did you mean {BLOCK}?"
        for where, section in sections.items()
        for name in map(str, section)
        if _is_like_ours(name) and f"{where}{name}" != BLOCK
    ]


def _is_like_ours(name: str) -> bool:
    return bool(_OURS.search(name)) or bool(difflib.get_close_matches(name, ["cancel_guard"], 1, 0.8))


def _is_handler(name: str) -> bool:
    # LiteLLM also takes `/a/folder/litellm_cancel_guard.handler`, a file in another folder than the config's.
    return name == CALLBACK or (name.startswith("/") and name.endswith(f"/{CALLBACK}"))


def _kind(value: Any) -> str:
    return _KINDS.get(type(value).__name__, type(value).__name__)


def _reason(error: OSError | UnicodeDecodeError) -> str:
    if isinstance(error, OSError):
        return (error.strerror or str(error)).lower()
    return "it isn't UTF-8"


def _where(error: Exception) -> str:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or next(iter(str(error).splitlines()), type(error).__name__)
    return f"line {mark.line + 1}: {problem}" if mark else problem
