"""doctor --url: what it makes of what a running proxy answers."""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING, Any

import pytest

from litellm_cancel_guard.operator.commands.redis_options import Refusal
from litellm_cancel_guard.operator.commands.running import asked
from tests.harness.process import LOOPBACK

if TYPE_CHECKING:
    from collections.abc import Iterator

    from litellm_cancel_guard.operator.commands.finding import Finding

WELL: dict[str, Any] = {
    "worker": "a1",
    "state": "alive",
    "last_beat_seconds": 1.0,
    "host": "host-a",
    "pid": 7,
    "guard": "0.2.0",
    "litellm": "1.110.2",
    "limiter": "slots, in Redis",
    "not_in_force": {},
    "settings": {"enabled": True},
    "slots": 3,
}


@contextmanager
def answering(status: int, body: str, **headers: str) -> Iterator[tuple[str, list[Any]]]:
    """A proxy's address, and what it has been asked."""
    seen: list[Any] = []

    class Proxy(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append((self.path, self.headers.get("Authorization")))
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_: Any) -> None: ...

    with HTTPServer((LOOPBACK, 0), Proxy) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://{LOOPBACK}:{server.server_port}/", seen
        finally:
            server.shutdown()
            thread.join()


def found(*workers: dict[str, Any]) -> list[Finding]:
    with answering(200, json.dumps({"answered_by": "a1", "workers": workers})) as (url, _):
        return list(asked(url))


def test_each_worker_is_a_line_that_says_what_is_wrong_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LITELLM_MASTER_KEY", "sk-master")
    lines = found(
        WELL,
        {**WELL, "pid": 8, "state": "silent", "last_beat_seconds": 25.0},
        {**WELL, "pid": 9, "settings": {"enabled": False}},
        {**WELL, "pid": 10, "not_in_force": {"slots.seam": "stands aside: it counts elsewhere"}},
        {**WELL, "pid": 11, "limiter": None, "settings": {}, "slots": None, "guard": "\x1b[31m0.1.0"},
    )
    assert [(line.check, line.ok) for line in lines] == [
        ("worker host-a:7", True),
        ("worker host-a:8", False),
        ("worker host-a:9", False),
        ("worker host-a:10", False),
        ("worker host-a:11", True),
    ]
    for line, part in zip(
        lines, ["3 slots", "silent for 25 s", "switched off", "it counts elsewhere", ""], strict=True
    ):
        assert part in line.text
        assert "\x1b" not in line.text


def test_a_deployment_whose_every_stream_ends_without_an_end_is_named_once_with_what_to_set_for_it() -> None:
    endless = {**WELL, "streams_without_end": ["muse (openai/muse\x1b[31m)"]}
    lines = found(endless, endless, WELL)
    assert [(line.check, line.ok, line.warning) for line in lines[3:]] == [("streams", True, True)]
    assert "muse (openai/muse[31m)" in lines[3].text
    assert "on_truncation: pass" in lines[3].text


@pytest.mark.parametrize(
    ("status", "body", "says"),
    [
        (404, "{}", "admin_routes is not true"),
        (401, "{}", "put an admin's key into LITELLM_MASTER_KEY"),
        (403, "{}", "put an admin's key into LITELLM_MASTER_KEY"),
        (503, "{}", "answers 503"),
        (200, "<html>", "not as the guard does"),
        (200, "[]", "not as the guard does"),
        (200, '{"workers": [7]}', "not as the guard does"),
    ],
)
def test_another_answer_is_one_line_that_says_what_to_do(status: int, body: str, says: str) -> None:
    with answering(status, body) as (url, _):
        [line] = asked(url)
    assert (line.check, line.ok) == ("proxy", False)
    assert says in line.text


def test_the_key_of_the_environment_goes_to_the_proxy_and_along_no_redirect(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LITELLM_MASTER_KEY", raising=False)
    monkeypatch.setenv("LITELLM_API_KEY", "sk-admin")
    with answering(200, "{}") as (elsewhere, reached), answering(302, "", Location=elsewhere) as (url, seen):
        [line] = asked(url)
    assert seen == [("/cancel_guard/health", "Bearer sk-admin")]
    assert (reached, "answers 302" in line.text) == ([], True)


def test_a_proxy_that_is_away_and_an_address_that_is_none_are_one_line() -> None:
    [line] = asked("http://127.0.0.1:1")
    assert "can't be reached" in line.text
    with pytest.raises(Refusal, match="has to begin with http"):
        list(asked("file:///etc/passwd"))
