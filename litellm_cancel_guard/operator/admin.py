"""``/cancel_guard/slots``, ``…/health``, ``…/release`` and ``…/kill``: for LiteLLM's admins who have no shell.

Mounted in any case, and not there (404) for anybody unless ``admin_routes`` is true, which may change at any time.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Protocol

from fastapi import Depends, HTTPException, Request
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from litellm_cancel_guard.gauge import GaugeCorruptError, GaugeUnavailableError
from litellm_cancel_guard.host import rights
from litellm_cancel_guard.host.grafting import NotFoundError
from litellm_cancel_guard.operator import orders, overview
from litellm_cancel_guard.redaction import for_log

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from litellm_cancel_guard.host.grafting import Board
    from litellm_cancel_guard.operator.overview import Surveyed
    from litellm_cancel_guard.operator.presence import Presence


_OF_RELEASE = '{"key": ..., "slot": ...}, or {"key": ..., "all": true}'
_OF_KILL = '{"slot": ...}'


class Surveying(Protocol):
    """Who is asked for the slots: the worker.

    Attributes:
        settings: as they are in force.
        survey: looks at the slots; None where the guard is switched off or holds back.
        board: how each touch of LiteLLM stands.
        presence: knows the other workers.
    """

    board: Board
    presence: Presence
    settings: Any
    survey: Callable[[], Surveyed] | None

    def attach_once(self, guard: Any) -> None:
        """Find LiteLLM's limiter and read the settings, unless that was done."""

    def kill(self, slot: str, by: str) -> bool | None:
        """End the request of *slot* as *by* asks; return whether this worker holds it; None: it can't be ended yet."""


class Shown(BaseModel):
    """The query of ``GET /cancel_guard/slots``."""

    model_config = ConfigDict(extra="forbid")

    key: str | None = Field(default=None, min_length=4)

    @model_validator(mode="after")
    def _no_secret_in_a_url(self) -> Shown:
        if self.key is not None and self.key.startswith("sk-"):
            raise ValueError("give LiteLLM's hash of the key, or how it begins: a URL ends up in logs")
        return self


class Release(BaseModel):
    """The body of ``POST /cancel_guard/release``."""

    model_config = ConfigDict(extra="forbid")

    key: str = Field(min_length=4)
    slot: str | None = Field(default=None, min_length=1)
    all: bool = False
    force: bool = False

    @model_validator(mode="after")
    def _says_which(self) -> Release:
        if self.all == (self.slot is not None):
            raise ValueError("give either the slot, or all: true")
        return self


class Kill(BaseModel):
    """The body of ``POST /cancel_guard/kill``."""

    model_config = ConfigDict(extra="forbid")

    slot: str = Field(min_length=4)


def mount(app: Any, worker: Surveying, guard: Any) -> None:
    """Add the routes to LiteLLM's *app*, behind its own authentication.

    Raises:
        NotFoundError: it takes routes in another way.
    """
    user_api_key_auth = rights.authentication()

    # Not a plain function: FastAPI would call that in a thread, where there is no event loop to attach to.
    async def there() -> None:
        worker.attach_once(guard)
        if not worker.settings.admin_routes:
            raise HTTPException(404, "Not Found")

    async def slots(request: Request, user: Any = Depends(user_api_key_auth)) -> Any:  # noqa: B008 - FastAPI's way
        _demand(user, rights.ADMIN, rights.VIEWER)
        asked = _valid(Shown, dict(request.query_params))
        return {**await _answered(worker, lambda survey: _shown(survey, asked)), "grafts": _grafts(worker)}

    async def health(user: Any = Depends(user_api_key_auth)) -> Any:  # noqa: B008 - FastAPI's way
        _demand(user, rights.ADMIN, rights.VIEWER)
        try:
            seen = await worker.presence.workers()
        except GaugeUnavailableError as error:
            raise rights.refusal(503, for_log(str(error))) from None
        return {"answered_by": worker.presence.record().worker, "workers": [overview.introduced(one) for one in seen]}

    async def release(request: Request, user: Any = Depends(user_api_key_auth)) -> Any:  # noqa: B008 - FastAPI's way
        _demand(user, rights.ADMIN)
        asked = _valid(Release, request.state.cancel_guard_body)
        return await _answered(worker, lambda survey: _released(survey, asked))

    async def kill(request: Request, user: Any = Depends(user_api_key_auth)) -> Any:  # noqa: B008 - FastAPI's way
        _demand(user, rights.ADMIN)
        asked, by = _valid(Kill, request.state.cancel_guard_body), rights.name_of(user)
        return await _answered(worker, lambda survey: _killed(worker, survey, asked, by))

    # Before LiteLLM's authentication: that reads what it takes for a form, and nobody can read it after it, or fails of
    # a body that is no object with an error of its own.
    def readable(wanted: str) -> Any:
        return {"dependencies": [Depends(there), Depends(_reader(wanted))], "include_in_schema": False}

    common: Any = {"dependencies": [Depends(there)], "include_in_schema": False}
    app.add_api_route("/cancel_guard/slots", slots, methods=["GET"], **common)
    app.add_api_route("/cancel_guard/health", health, methods=["GET"], **common)
    app.add_api_route("/cancel_guard/release", release, methods=["POST"], **readable(_OF_RELEASE))
    app.add_api_route("/cancel_guard/kill", kill, methods=["POST"], **readable(_OF_KILL))
    if "/cancel_guard/kill" not in {getattr(route, "path", None) for route in app.routes}:
        raise NotFoundError("the application does not keep the routes that it is given")


def _demand(user: Any, *roles: str) -> None:
    if not rights.has_role(user, *roles):
        raise HTTPException(403, {"error": rights.NOT_ALLOWED})


def _reader(wanted: str) -> Callable[[Request], Awaitable[None]]:
    """Return what reads a body, which is to be as *wanted*."""

    async def read(request: Request) -> None:
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != "application/json":
            raise rights.refusal(415, f"send {wanted} with content-type: application/json, not {kind or 'none'}")
        try:
            body = json.loads(await request.body())
        except (ValueError, RecursionError):
            raise rights.refusal(400, f"the body is no JSON: send {wanted}") from None
        if not isinstance(body, dict):
            raise rights.refusal(422, f"the body is no object: send {wanted}")
        request.state.cancel_guard_body = body

    return read


def _valid(model: type[Any], given: Any) -> Any:
    try:
        return model.model_validate(given)
    except ValidationError as error:
        raise rights.refusal(422, "; ".join(map(_complaint, error.errors()))) from None


def _complaint(problem: Any) -> str:
    name = ".".join(str(part) for part in problem["loc"])
    text = str(problem["msg"]).removeprefix("Value error, ")
    return f"{name}: {text}" if name else text


async def _answered(worker: Surveying, act: Any) -> dict[str, Any]:
    if worker.survey is None:
        raise rights.refusal(503, "the guard is switched off, or holds back from this LiteLLM's limiter")
    try:
        survey = worker.survey()
        return {"scope": survey.scope, **await act(survey)}
    except overview.NotHeldError as error:
        raise rights.refusal(404, str(error)) from None
    except orders.NotKillableError as error:
        raise rights.refusal(409, str(error)) from None
    except overview.StillRunsError as error:
        raise rights.refusal(409, f'{error} Send "force": true to give them back all the same.') from None
    except (GaugeUnavailableError, GaugeCorruptError) as error:
        raise rights.refusal(503, for_log(str(error))) from None


def _grafts(worker: Surveying) -> dict[str, str]:
    """Return how each touch of LiteLLM stands in the worker that answers."""
    return {status.graft.name: str(status) for status in worker.board.statuses()}


async def _shown(survey: Surveyed, asked: Shown) -> dict[str, Any]:
    counts = await (overview.all_counts(survey) if asked.key is None else _one(survey, asked.key))
    return {"keys": [overview.detailed(count) for count in await overview.with_holders(survey, counts)]}


async def _one(survey: Surveyed, key: str) -> list[Any]:
    return [await overview.count_of(survey, key)]


async def _released(survey: Surveyed, asked: Release) -> dict[str, Any]:
    count = await overview.count_of(survey, asked.key)
    ids = overview.chosen(count, asked.slot)
    if not asked.force:
        overview.refuse_running(count, ids)
    return asdict(await overview.give_back(survey, count, ids))


async def _killed(worker: Surveying, survey: Surveyed, asked: Kill, by: str) -> dict[str, Any]:
    return asdict(await orders.kill(survey, asked.slot, by, worker.kill))
