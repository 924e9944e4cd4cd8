"""Plays mutants of the installed LiteLLM: `python -m tests.mutants.player REDIS_PORT [SEED MOST] [PART OF NAME...]`.

One JSON object a line; those that change nothing come first. It needs nothing but that LiteLLM, this folder and the
guard on the path. With `--grafts` in the port's place it names the grafts that it has mutants of, and plays none.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import sys
import warnings
from typing import TYPE_CHECKING, Any

warnings.simplefilter("ignore")

import litellm  # noqa: E402
from litellm.proxy import proxy_server  # noqa: E402
from litellm.proxy.hooks import parallel_request_limiter_v3 as module  # noqa: E402

from tests.mutants import apps, ends, lists, methods, places, streams, values  # noqa: E402
from tests.mutants.judge import harm  # noqa: E402
from tests.mutants.playing import Play, serve  # noqa: E402
from tests.mutants.stage import Mutant, Stage  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Iterator


AS_IT_IS = "as it is"
_USED = {"stream": streams.play, "app": apps.play}


def mutants() -> Iterator[Mutant]:
    yield Mutant("nothing", AS_IT_IS)
    yield from methods.mutants(module)
    yield from values.mutants(module)
    yield from places.mutants(module)
    yield from lists.mutants()
    yield Mutant("no stream", AS_IT_IS, kind="stream")
    yield from streams.mutants()
    yield Mutant("no application", AS_IT_IS, kind="app")
    yield from apps.mutants()
    yield from ends.mutants()


def chosen(known: list[Mutant], how: list[str]) -> list[Mutant]:
    """Return all mutants, or as many as asked for, drawn by a seed; always those by which the others are judged."""
    plain = [mutant for mutant in known if mutant.operator == AS_IT_IS]
    others = [mutant for mutant in known if mutant.operator != AS_IT_IS]
    if len(how) > 1 and how[1].isdigit():
        others.sort(key=lambda mutant: hashlib.sha256(f"{how[0]} {mutant.name}".encode()).digest())
        others = others[: int(how[1])]
    elif how:
        others = [mutant for mutant in others if any(part in mutant.name for part in how)]
    return plain + others


async def judged(mutant: Mutant, port: int) -> dict[str, Any]:
    """Play it until it is no worse than LiteLLM alone was in one of these plays, six at most.

    Up to 1.93 that counts now five and now ten requests of ten, as its own copy of the count is read.
    """
    alone: list[Any] = []
    for _ in range(6):
        answer = await played(mutant, port)
        alone.append(answer.get("bare"))
        for bare in alone:
            seen = {**answer, "bare": bare} if bare is not None else answer
            if not harm(seen):
                return seen
    return answer


async def played(mutant: Mutant, port: int) -> dict[str, Any]:
    answer: dict[str, Any] = {"mutant": mutant.name, "graft": mutant.graft, "kind": mutant.kind}
    for how, guarded in (("bare", False), ("guarded", True)):
        stage = Stage(port, module)
        try:
            mutant.before(stage)
            if mutant.kind in _USED:
                answer[how] = await _USED[mutant.kind](stage, mutant, guarded=guarded)
                continue
            stage.build()
            serve(stage.limiter)
            mutant.after(stage)
            answer[how] = await Play(stage, guarded=guarded).whole()
        except Exception as fault:
            logging.getLogger("mutants").exception("%s", mutant.name)
            answer["senseless" if how == "bare" else "broken"] = f"{type(fault).__name__}: {fault}"[:300]
            break
        finally:
            stage.clear()
            litellm.callbacks = []
            await _end_tasks()
    return answer


async def _end_tasks() -> None:
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def main() -> None:
    if sys.argv[1] == "--grafts":
        print(json.dumps(sorted({mutant.graft for mutant in mutants()} - {""})))
        return
    for name in ("LiteLLM", "LiteLLM Proxy", "litellm_cancel_guard"):
        logging.getLogger(name).propagate = False
        logging.getLogger(name).handlers = [logging.NullHandler()]
    proxy_server.proxy_logging_obj._add_proxy_hooks(None)
    for mutant in chosen(list(mutants()), sys.argv[2:]):
        print(json.dumps(await judged(mutant, int(sys.argv[1]))), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
