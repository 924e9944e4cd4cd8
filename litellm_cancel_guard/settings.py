"""The guard's settings: seconds everywhere, validated together."""

from __future__ import annotations

import difflib
import re
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from litellm_cancel_guard.redaction.quoted import quoted

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

# What of a holder is shown only where it is asked for: it tells of people.
DETAILS = ("alias", "team", "user", "end_user", "address")

# What of a request that is no header of it may tell its agents apart; any other name is a header's.
FIELDS = ("end_user", "address")
# In this order: a subagent of Claude Code, a session of it (2.1.197), a thread of Codex (0.171).
FAIR_BY = ("X-Claude-Code-Agent-Id", "X-Claude-Code-Session-Id", "thread-id", "end_user")
_MOST_NAMES = 16  # each is looked for in every request
_HEADER = re.compile(r"[\w!#$%&'*+.^`|~-]{1,100}", re.ASCII)
_TURNS = re.compile(r"[1-9]|1[0-6]")


class SettingsError(Exception):
    """A setting is wrong; the message names the line of config.yaml or the variable to change."""


class Settings(BaseModel):
    """What an operator can set under ``callback_settings: cancel_guard:``. All times are in seconds."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    enabled: bool = Field(default=True, description="False: the guard stands aside, LiteLLM counts alone.")
    lease_seconds: float = Field(
        default=30.0,
        ge=1,
        le=3600,
        description="How long a slot outlives its worker: a killed worker's slots are free then.",
    )
    heartbeat_seconds: float = Field(
        default=10.0, gt=0, description="How often a worker renews the slots it holds; at most half the lease."
    )
    redis_timeout: float = Field(
        default=2.0,
        gt=0,
        le=60,
        description="How long one call to Redis may take, and so how long Redis can delay a request; on a saturated "
        "worker no less than 20 turns of its event loop.",
    )
    on_redis_error: Literal["local", "open", "closed"] = Field(
        default="local",
        description="When Redis can't be asked: `local` enforces the cap on what this worker holds, `open` admits, "
        "`closed` answers 503. Where LiteLLM's `fail_closed_rate_limit_enforcement` is on, the default is `closed`.",
    )
    on_unproven_litellm: Literal["try", "stand_aside"] = Field(
        default="try",
        description="A LiteLLM that the guard was never played on: `try` has each worker prove that both count the "
        "same, `stand_aside` leaves the count to LiteLLM until there is a guard that knows it.",
    )
    on_truncation: Literal["error", "pass"] = Field(
        default="error",
        description="A stream cut off by its provider: `error` ends it as a failed one, `pass` as LiteLLM does.",
    )
    idle_timeout: float = Field(
        default=0.0,
        ge=0,
        description="How long a stream may be silent between two chunks before it ends as a failed one; 0: for ever. "
        "What the provider sends is none, comment or ping; LiteLLM's own pings are. An agent (A2A) may be silent.",
    )
    ping_timeout: float = Field(
        default=0.0,
        ge=0,
        description="How long a stream may bring nothing but the provider's pings and comments before it ends as a "
        "failed one; 0: for ever.",
    )
    drain_seconds: float = Field(
        default=0.0,
        ge=0,
        le=86400,
        description="How long after SIGTERM what is still open is answered 503, to be asked again, instead of being "
        "cut by the server; 0: two seconds before it cuts, where it says when. Never later than that.",
    )
    loop_stall_seconds: float = Field(
        default=30.0,
        ge=0,
        description="How long the event loop may stand still before its stack is logged; 0: not watched.",
    )
    on_loop_stall: Literal["log", "exit"] = Field(
        default="log",
        description="A worker whose loop stands still: `log` says where, `exit` also ends it, to be replaced.",
    )
    max_stall_renewal_seconds: float = Field(
        default=300.0,
        ge=0,
        le=86400,
        description="How long a thread renews the slots of a worker whose event loop stands still, before they lapse; "
        "0: not at all. Where what blocks the loop holds the interpreter (the GIL), no thread runs.",
    )
    max_wait_seconds: float = Field(
        default=0.0,
        ge=0,
        le=86400,
        description="How long a request whose key is full waits for a slot, in line with the others of its key, before "
        "it is refused; 0: it is refused at once. A key's metadata may say otherwise: see below.",
    )
    max_waiting: int = Field(
        default=100, ge=0, le=100_000, description="How many requests of one key may wait at a time; 0: none."
    )
    fair_by: tuple[str, ...] = Field(
        default=FAIR_BY,
        description="By what the agents of a key take turns in line: headers, `end_user` or `address`, of which the "
        "first that a request has says who asks (`X-Team=4`: for four turns a round); none: first come, first served.",
    )
    admin_routes: bool = Field(
        default=False,
        description="True: `/cancel_guard/slots`, `/release`, `/kill` and `/health` are there for LiteLLM's admins.",
    )
    holders_detail: tuple[str, ...] = Field(
        default=(),
        description="What is stored and shown of who holds a slot, beside model, path, call id and the agent's hash: "
        "any of `alias`, `team`, `user`, `end_user`, `address`.",
    )
    metrics_per_key: bool = Field(
        default=False,
        description="True: metrics of slots carry the key's hash as a label, one series for each key ever used.",
    )

    @field_validator("holders_detail", mode="before")
    @classmethod
    def _fields(cls, given: Any) -> Any:
        wanted = _listed(given)
        if wanted is None:
            raise ValueError(f"a list of {', '.join(DETAILS)}, not {quoted(given)}")
        for name in wanted:
            if name not in DETAILS:
                raise ValueError(f"{quoted(name)} is no field of a holder{_meant(quoted(name)[1:-1], DETAILS)}")
        return tuple(wanted)

    @field_validator("fair_by", mode="before")
    @classmethod
    def _names(cls, given: Any) -> Any:
        names = _listed(given)
        if names is None or not all(isinstance(name, str) for name in names):
            raise ValueError(f"a list of headers, {' and '.join(FIELDS)}, not {quoted(given)}")
        if len(names) > _MOST_NAMES:
            raise ValueError(f"{len(names)} names are more than {_MOST_NAMES}")
        for name, has_turns, turns in (each.partition("=") for each in names):
            if not _HEADER.fullmatch(name):
                raise ValueError(f"{name[:100]!r} is no name of a header")
            if has_turns and not _TURNS.fullmatch(turns):
                raise ValueError(f"{name!r} has from =1 to =16 turns in a round, not {quoted(turns)}")
            # A header's name has a hyphen, nearly always: of a field that is misspelt nobody would ever hear.
            if name not in FIELDS and "-" not in name and (meant := difflib.get_close_matches(name.lower(), FIELDS, 1)):
                raise ValueError(f"{name!r} is no field: did you mean {meant[0]}?")
        return tuple(names)

    @model_validator(mode="before")
    @classmethod
    def _beat_follows_lease(cls, given: Any) -> Any:
        if isinstance(given, dict) and "heartbeat_seconds" not in given and "lease_seconds" in given:
            try:
                return {**given, "heartbeat_seconds": float(given["lease_seconds"]) / 3}
            except (OverflowError, TypeError, ValueError):
                return given
        return given

    @model_validator(mode="after")
    def _beat_fits_lease(self) -> Settings:
        if self.heartbeat_seconds > self.lease_seconds / 2:
            raise ValueError(
                f"heartbeat_seconds ({self.heartbeat_seconds:g}) must be at most half of lease_seconds "
                f"({self.lease_seconds:g}): a lease has to survive one missed beat"
            )
        return self


def _listed(given: Any) -> list[Any] | tuple[Any, ...] | None:
    """Return *given* as a list, which a variable of the environment writes with commas; None where it is none."""
    wanted = [part.strip() for part in given.split(",") if part.strip()] if isinstance(given, str) else given
    return wanted if isinstance(wanted, list | tuple) else None


ENV_PREFIX = "CANCEL_GUARD_"
# The project's own tests', and those that Kubernetes makes of a Service of that name.
_NO_SETTING = re.compile(r"_(?:TEST_CACHE|COMMIT|SERVICE_HOST|(?:SERVICE_)?PORT(?:_\w+)?)$")


def load_settings(block: Any, environ: Mapping[str, str]) -> Settings:
    """Return the settings of config.yaml's ``callback_settings: cancel_guard:`` *block*, the environment winning.

    Raises:
        SettingsError: something in them is wrong; the message names what to change.
    """
    try:
        return Settings.model_validate(_given(block, environ))
    except ValidationError as error:
        raise SettingsError("; ".join(_complaint(problem, environ) for problem in error.errors())) from None


def sound_settings(block: Any, environ: Mapping[str, str]) -> tuple[Settings, list[str]]:
    """Return the settings that hold although others are wrong, and what is wrong, a line each.

    Whoever wrote a block, or an ``enabled``, that can't be read meant something else than the default: the guard is
    off. A beat that does not fit its lease gives way to it.
    """
    try:
        given = _given(block, environ)
    except SettingsError as error:
        return Settings(enabled=False), [str(error)]
    wrong: list[str] = []
    while True:
        try:
            return Settings.model_validate(given), wrong
        except ValidationError as error:
            # The beat of a lease that is wrong is wrong, too, and nobody has set it.
            problems = [one for one in error.errors() if not one["loc"] or str(one["loc"][0]) in given]
        wrong += [_complaint(problem, environ) for problem in problems]
        names = {str(problem["loc"][0]) if problem["loc"] else "heartbeat_seconds" for problem in problems}
        if not names & given.keys():
            return Settings(enabled=False), wrong
        given = {name: value for name, value in given.items() if name not in names}
        given |= {"enabled": False} if "enabled" in names else {}


# Those that the metadata of a key may say for that key alone.
LINE_SETTINGS = ("max_wait_seconds", "max_waiting", "fair_by")


def sound_line(block: Any) -> dict[str, Any]:
    """Return what *block*, ``cancel_guard`` in a key's metadata, says of `LINE_SETTINGS`.

    Raises:
        SettingsError: it says something else, or something that is wrong.
    """
    if not isinstance(block, dict) or block.keys() - set(LINE_SETTINGS):
        raise SettingsError(f"cancel_guard must be a block of {', '.join(LINE_SETTINGS)}, not {quoted(block)}")
    try:
        known = Settings.model_validate(block)
    except ValidationError as error:
        raise SettingsError("; ".join(_complaint(problem, {}, "cancel_guard") for problem in error.errors())) from None
    return {name: getattr(known, name) for name in block}


def unknown_variables(environ: Mapping[str, str]) -> list[str]:
    """Return a line for each variable that looks like a setting and is none."""
    known = [ENV_PREFIX + name.upper() for name in Settings.model_fields]
    return [
        f"{name}: there is no such variable{_meant(name, known)}"
        for name in sorted(environ)
        if name.startswith(ENV_PREFIX) and name not in known and not _NO_SETTING.search(name)
    ]


def _given(block: Any, environ: Mapping[str, str]) -> dict[str, Any]:
    if block is not None and not isinstance(block, dict):
        raise SettingsError(f"callback_settings: cancel_guard: must be a block of settings, not {quoted(block)}")
    given = {str(name): value for name, value in (block or {}).items()}
    return given | {name: environ[v] for name in Settings.model_fields if (v := ENV_PREFIX + name.upper()) in environ}


def _meant(name: str, known: Collection[str]) -> str:
    close = difflib.get_close_matches(name, known, 1)
    return f": did you mean {close[0]}?" if close else f" (there are {', '.join(known)})"


def closed_unless_set(settings: Settings) -> Settings:
    """Return *settings* as they are where LiteLLM is told to fail closed, and nothing else is said of the guard."""
    if "on_redis_error" in settings.model_fields_set:
        return settings
    return settings.model_copy(update={"on_redis_error": "closed"})


def sources(block: Any, environ: Mapping[str, str]) -> dict[str, str]:
    """Return where the value of each setting comes from, of settings that `load_settings` takes."""
    given = block if isinstance(block, dict) else {}
    found = {}
    for name in Settings.model_fields:
        variable = ENV_PREFIX + name.upper()
        found[name] = f"environment, {variable}" if variable in environ else "config" if name in given else "default"
    if found["heartbeat_seconds"] == "default" and found["lease_seconds"] != "default":
        found["heartbeat_seconds"] = "a third of lease_seconds"
    return found


def _complaint(problem: Any, environ: Mapping[str, str], block: str = "callback_settings: cancel_guard") -> str:
    name = ".".join(str(part) for part in problem["loc"])
    if not name:
        return str(problem["msg"]).removeprefix("Value error, ")
    variable = ENV_PREFIX + name.upper()
    where = variable if variable in environ else f"{block}: {name}"
    if problem["type"] == "extra_forbidden":
        return f"{where}: no such setting{_meant(name, Settings.model_fields)}"
    if problem["type"] == "value_error":
        return f"{where}: {str(problem['msg']).removeprefix('Value error, ')}"
    return f"{where}: {problem['msg']}, not {quoted(problem['input'])}"
