"""The short script: twice five requests at once to a key whose cap is two, without the guard and with it."""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections import Counter
from datetime import datetime
from typing import TYPE_CHECKING, Any

import litellm
import redis
from fastapi import HTTPException
from litellm import ModelResponse, Usage
from litellm.proxy import proxy_server
from litellm.proxy._types import UserAPIKeyAuth

from litellm_cancel_guard.guard import _PROXY_CancelGuard

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.mutants.stage import Stage

AT_ONCE, CAP = 5, 2
# The guard sends the tokens of many requests together, 0.2 s later.
GATHERED_SECONDS = 0.3


class Logged(logging.Handler):
    """Exceptions that LiteLLM logs: an event of its own that came to nothing."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.seen: Counter[str] = Counter()

    def emit(self, record: logging.LogRecord) -> None:
        whose = "guard" if str(record.msg).startswith("cancel_guard") else "litellm"
        if whose == "litellm" or record.exc_info:
            self.seen[f"{whose}: {str(record.msg)[:60]}"] += 1


class Play:
    """One play, of one key.

    Attributes:
        stage: the mutant.
        guard: the callback, or None: LiteLLM alone.
    """

    def __init__(self, stage: Stage, *, guarded: bool) -> None:
        self.stage = stage
        self.guard: Any = None
        self.guarded = guarded
        self.hash = uuid.uuid4().hex * 2
        key = UserAPIKeyAuth(
            api_key=self.hash, max_parallel_requests=CAP, rpm_limit=100, tpm_limit=100_000, user_id=None
        )
        self.auth = self._as("key", _as_it_is)(key)
        self.errors: Counter[str] = Counter()
        self.unleased = 0
        self._admitted = 0

    async def whole(self) -> dict[str, Any]:
        logged = Logged()
        loggers = [logging.getLogger(name) for name in ("LiteLLM", "LiteLLM Proxy", "litellm_cancel_guard")]
        for logger in loggers:
            logger.addHandler(logged)
        try:
            if self.guarded:
                self._attach()
                await self._quietly("prepared", self.guard._worker.prepared(self.guard))
            rounds = [await self._round() for _ in range(2)]
            await asyncio.sleep(GATHERED_SECONDS)
            return {
                "admitted": [admitted for admitted, _ in rounds],
                "during": [during for _, during in rounds],
                "errors": dict(self.errors),
                "rest": self._in_redis(),
                "logged": dict(logged.seen),
                "unleased": self.unleased,
                "states": self._states(),
            }
        finally:
            for logger in loggers:
                logger.removeHandler(logged)
            if self.guard is not None:
                self.guard._mounts.take_out()

    def _attach(self) -> None:
        self.guard = _PROXY_CancelGuard()
        self._as("lists", _list)(self.guard, self.stage.limiter)

    def _as(self, what: str, usual: Callable[..., Any]) -> Callable[..., Any]:
        return self.stage.calls.get(what, usual)

    def _states(self) -> dict[str, str]:
        if self.guard is None:
            return {}
        return {status.graft.name: status.state.value for status in self.guard._worker.board.statuses()}

    async def _quietly(self, what: str, awaitable: Any) -> None:
        try:
            await awaitable
        except Exception as fault:
            self.errors[f"{what}: {type(fault).__name__}"] += 1

    async def _round(self) -> tuple[int, Any]:
        gate, outcomes = asyncio.Event(), asyncio.Queue[bool]()
        tasks = [asyncio.create_task(self._request(gate, outcomes)) for _ in range(AT_ONCE)]
        try:
            admitted = [await asyncio.wait_for(outcomes.get(), 20) for _ in tasks].count(True)
            during = self._in_redis()
        finally:
            gate.set()
            await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(0.02)
        return admitted, during

    async def _request(self, gate: asyncio.Event, outcomes: asyncio.Queue[bool]) -> None:
        call = uuid.uuid4().hex
        data = {"model": "gpt", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 10, "metadata": {}}
        data["litellm_call_id"] = call
        try:
            await self._come_in(data)
        except Exception as refused:
            self._note(refused)
            await self._fails(data, refused)
            outcomes.put_nowait(False)
            return
        if self.guarded:
            request = self.guard._worker.guarded_request()
            self.unleased += request is None or request.lease is None
        self._admitted += 1
        # Every second one fails; which task it is, does not matter.
        well = self._admitted % 2 == 1
        outcomes.put_nowait(True)
        await gate.wait()
        await self._end(data, call, well=well)

    async def _come_in(self, data: dict[str, Any]) -> None:
        if hasattr(self.stage.module._PROXY_MaxParallelRequestsHandler_v3, "raise_if_over_limit_before_body"):
            await self.stage.call("raise_if_over_limit_before_body", self.auth)
        listed = list(self._as("read", _listed)()) if self.guarded else []
        first = self.guarded and (self.stage.limiter not in listed or _before(listed, self.guard, self.stage.limiter))
        if first:
            await self.guard.async_pre_call_hook(self.auth, None, data, "acompletion")
        await self.stage.call(
            "async_pre_call_hook", user_api_key_dict=self.auth, cache=None, data=data, call_type="acompletion"
        )
        if self.guarded and not first:
            await self.guard.async_pre_call_hook(self.auth, None, data, "acompletion")

    def _note(self, error: Exception) -> None:
        known = isinstance(error, HTTPException)
        self.errors[str(getattr(error, "status_code", "")) if known else type(error).__name__] += 1

    async def _fails(self, data: dict[str, Any], error: Exception) -> None:
        if self.guarded:
            await self._quietly("failure hook", self.guard.async_post_call_failure_hook(data, error, self.auth))
        hook = getattr(self.stage.limiter, "async_post_call_failure_hook", None)
        if hook is not None:
            given = {"request_data": data, "original_exception": error, "user_api_key_dict": self.auth}
            await self._quietly("failure hook", hook(**given))

    async def _end(self, data: dict[str, Any], call: str, *, well: bool) -> None:
        metadata = {"user_api_key_hash": self.hash, "user_api_key": self.hash, "user_api_key_auth": self.auth}
        event = {
            "litellm_call_id": call,
            "model": "gpt",
            "standard_logging_object": {"metadata": metadata, "model_group": "gpt", "hidden_params": {}},
            "litellm_params": {"metadata": {**metadata, **data["metadata"]}, "litellm_call_id": call},
        }
        now = datetime.now()  # noqa: DTZ005 - as LiteLLM's
        answer = ModelResponse(usage=Usage(prompt_tokens=10, completion_tokens=20, total_tokens=30))
        if well:
            if self.guarded:
                await self.guard.async_post_call_success_hook(data, self.auth, answer)
            await self._quietly("success", self._logs("async_log_success_event", event, answer, now, now))
            return
        await self._fails(data, RuntimeError("the provider's"))
        await self._quietly("failure", self._logs("async_log_failure_event", event, None, now, now))

    async def _logs(self, name: str, *args: Any) -> None:
        await self.stage.call(name, *args)

    def _in_redis(self) -> dict[str, Any]:
        """What lies at the key's counters, in every database that a mutant may count in."""
        return {name: value for db in (0, 1) for name, value in _counters(self.stage.port, db, self.hash)}


def _as_it_is(key: Any) -> Any:
    return key


def _list(*callbacks: Any) -> None:
    litellm.callbacks = list(callbacks)


def _listed() -> Any:
    return litellm.callbacks


def _before(listed: list[Any], one: Any, other: Any) -> bool:
    return listed.index(one) < listed.index(other)


def _counters(port: int, db: int, key: str) -> Iterator[tuple[str, Any]]:
    with redis.Redis(port=port, db=db, decode_responses=True) as store:
        for name in store.scan_iter(f"*{key}*", count=1000):
            kind: Any = store.type(name)
            if "cancel_guard" in name or name.endswith(":window"):
                continue
            held: Any = {"zset": store.zcard, "hash": store.hlen, "set": store.scard}.get(kind, store.get)(name)
            yield f"{db}/{name.replace(key, 'K')}", float(held)


def serve(limiter: Any) -> None:
    """Have the proxy have that limiter."""
    logging_obj = proxy_server.proxy_logging_obj
    logging_obj.proxy_hook_mapping["parallel_request_limiter"] = limiter
