"""The guard's own lines of the log: no secret in any, whatever exception brings one."""

from __future__ import annotations

import importlib
import io
import logging
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import litellm_cancel_guard
from litellm_cancel_guard.redaction import records
from litellm_cancel_guard.redaction.records import log

if TYPE_CHECKING:
    from collections.abc import Iterator

SECRET = "sk" + "-" + "aB3" * 16
HOST = logging.getLogger("LiteLLM Proxy")


def plain() -> logging.Formatter:
    return logging.Formatter("%(name)s %(levelname)s %(filename)s %(message)s")


def litellms_json() -> logging.Formatter:
    made: logging.Formatter = importlib.import_module("litellm._logging").JsonFormatter()
    return made


@pytest.fixture(params=[plain, litellms_json])
def written(request: pytest.FixtureRequest) -> Iterator[io.StringIO]:
    """What a handler of the operator's writes."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(request.param())
    HOST.addHandler(handler)
    yield stream
    HOST.removeHandler(handler)


def failed(said: str) -> Exception:
    """An exception with a cause, as LiteLLM raises a provider's."""
    error = RuntimeError(f"litellm: {said}")
    error.__cause__ = ConnectionError(f"provider: {said}")
    return error


def test_no_line_has_the_secret_of_an_exception(written: io.StringIO) -> None:
    error = failed(f"Authorization: Bearer {SECRET}, /etc/proxy/keys and 10.1.2.3")
    log.warning("cancel_guard: it raised %s, %r", error, error)
    log.error("cancel_guard: it failed", exc_info=error)
    try:
        raise error
    except RuntimeError:
        log.exception("cancel_guard: it failed again for %s", SECRET)
    text = written.getvalue()
    assert SECRET not in text
    assert text.count("cancel_guard: ") == 3
    # Where it happened is what an operator needs of a traceback.
    assert text.count("ConnectionError: provider: ") == 2
    assert "test_records.py" in text
    assert "line " in text


def test_a_line_names_the_logger_and_the_place_as_litellms_own_do(caplog: pytest.LogCaptureFixture) -> None:
    log.warning("cancel_guard: of %s", "ours")
    record = caplog.records[-1]
    assert (record.name, record.filename, record.getMessage()) == (
        HOST.name,
        "test_records.py",
        "cancel_guard: of ours",
    )


def test_the_hosts_level_filters_and_handlers_are_the_guards(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR, HOST.name):
        log.warning("cancel_guard: too low")
    with caplog.at_level(logging.DEBUG, HOST.name):
        log.debug("cancel_guard: high enough")
        HOST.addFilter(hide := lambda _: False)
        log.error("cancel_guard: filtered")
        HOST.removeFilter(hide)
    assert [record.getMessage() for record in caplog.records] == ["cancel_guard: high enough"]


def test_litellms_own_records_are_left_alone(caplog: pytest.LogCaptureFixture) -> None:
    error, filters = failed("it failed"), list(HOST.filters)
    HOST.error("a line of LiteLLM's at /etc/x for user_id=%s", 1, exc_info=error)
    record = caplog.records[-1]
    assert record.getMessage() == "a line of LiteLLM's at /etc/x for user_id=1"
    assert record.exc_info is not None
    assert record.exc_info[1] is error
    log.error("cancel_guard: ours")
    assert HOST.filters == filters


class HostileError(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")


@pytest.mark.parametrize("arguments", [("%s", HostileError()), ("%d", SECRET), ("%s %s", SECRET)])
def test_a_line_that_cannot_be_written_says_so_and_raises_nothing(
    arguments: tuple[Any, ...], caplog: pytest.LogCaptureFixture
) -> None:
    log.error(*arguments)
    assert "could not be written" in caplog.records[-1].getMessage()
    assert SECRET not in caplog.text


def test_a_traceback_that_cannot_be_written_names_its_exception(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(records, "_lines_of", lambda _: 1 / 0)
    log.error("cancel_guard: it failed", exc_info=failed(SECRET))
    assert "RuntimeError, whose traceback could not be written" in caplog.text
    assert SECRET not in caplog.text


def test_every_module_of_the_guard_logs_so() -> None:
    folder = Path(litellm_cancel_guard.__file__).parent
    found = [
        path
        for path in folder.rglob("*.py")
        if re.search(r"getLogger|logging\.(?:error|warning|info)", path.read_text())
    ]
    assert [path.name for path in found] == ["records.py"]
