"""The twelve questions of docs/operations.md, asked of a proxy that runs, by the commands that stand there."""

from __future__ import annotations

import asyncio
import json
import re
import shlex
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from tests.cli.command import COMMAND, environ
from tests.harness.keys import fresh_key
from tests.harness.process import LOOPBACK
from tests.harness.routes import ROUTES
from tests.harness.witness import gauge, settled, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.harness.clients import Caller
    from tests.harness.proxy import Proxy
    from tests.harness.redis_server import RedisServer

ROOT = Path(__file__).parents[2]
CHAT = ROUTES["chat"]
BEATS = ("CANCEL_GUARD_HEARTBEAT_SECONDS", "0.5")
SWITCH = "callback_settings: {cancel_guard: {enabled: true}}"
# The command, its exit code, and what its answer must hold.
ANSWERS = {
    "Who holds my slots?": (0, ["acompletion", "model gpt", "path /v1/chat/completions"]),
    "Which keys are full, and since when?": (0, ["s ago"]),
    "Why was this request refused?": (0, ["held 2 of 2", "acompletion, held then for ", " s, still held, model gpt"]),
    "Is the guard in force, on all workers?": (0, ["in Redis"]),
    "What has happened today?": (0, ["given a slot", "given none"]),
    "A request runs away: how do I end it?": (0, ["the slot is back"]),
    "A worker is gone: how do I free its slots?": (1, ["--force"]),
    "May I upgrade LiteLLM?": (0, ["would be in force", "LiteLLM and the guard count the same in Redis"]),
    "What is set, and by what?": (0, ["heartbeat_seconds", "CANCEL_GUARD_HEARTBEAT_SECONDS"]),
    "Who would be cut by a deploy now?": (0, ['"slots": 1']),
    "Does anything wake me?": (0, ["SUCCESS"]),
    "How do I roll back without a restart?": (0, []),
}


def questions() -> dict[str, str]:
    page = (ROOT / "docs" / "operations.md").read_text()
    table = page[page.index("<!-- questions:begin -->") : page.index("<!-- questions:end -->")]
    return dict(re.findall(r"^\| ([^|]+\?) \| `([^`]+)` \|", table, re.MULTILINE))


async def test_each_command_answers_its_question(
    start: Callable[..., Proxy], call_on: Callable[[Proxy], Caller], redis_server: RedisServer
) -> None:
    caller, key = call_on(start(env=(BEATS, ("LITELLM_LOG", "INFO")), settings=SWITCH)), fresh_key(cap=2)
    operator = Operator(caller.proxy.log.parent, redis_server)
    script = replace(caller.script(), stall="headers")
    held = [asyncio.create_task(caller.plain(CHAT, key, script)) for _ in range(2)]
    await caller.provider.wait(script.run, stalled=2)
    refused = await caller.plain(CHAT, key)
    operator.words = {"KEY": key.name, "CALL_ID": refused.headers["x-litellm-call-id"]}
    asked = questions()
    await wait_until(lambda: operator.told_of(asked["Who holds my slots?"]) == 2, "a beat has told of both holders")
    operator.words["SLOT"] = operator.a_slot()
    assert set(asked) == set(ANSWERS)
    for question, (code, told) in ANSWERS.items():
        answer = await asyncio.to_thread(operator.said, asked[question])
        assert (answer[0], [part for part in told if part not in answer[1]]) == (code, []), f"{question} {answer}"
    await wait_until(lambda: "LiteLLM counts alone" in caller.proxy.text(), "the guard stands aside", within=10)
    await caller.provider.release(script.run)
    assert sorted(answer.status for answer in await asyncio.gather(*held)) == [200, 503]
    assert await settled(lambda: gauge(redis_server.client, key), 0) == 0


class Operator:
    """Types commands where the proxy runs; *words* stand for what changes in them."""

    def __init__(self, folder: Path, redis: RedisServer) -> None:
        self.words: dict[str, str] = {}
        self._files = {"config.yaml": str(folder / "config.yaml"), "deploy/alerts.yaml": f"{ROOT}/deploy/alerts.yaml"}
        self._env = environ({"REDIS_URL": f"redis://{LOOPBACK}:{redis.port}", BEATS[0]: BEATS[1], "COLUMNS": "200"})

    def said(self, command: str) -> tuple[int, str]:
        """The exit code, and what was printed."""
        argv = [{**self.words, **self._files}.get(word, word) for word in shlex.split(command)]
        argv[:1] = COMMAND if argv[0] == "litellm-cancel-guard" else argv[:1]
        done = subprocess.run(argv, env=self._env, capture_output=True, text=True, timeout=100, check=False)
        return done.returncode, done.stdout + done.stderr

    def told_of(self, command: str) -> int:
        return self.said(command)[1].count("model gpt")

    def a_slot(self) -> str:
        shown = json.loads(self.said("litellm-cancel-guard slots KEY --json")[1])
        return str(shown["held"][0]["slot"])
