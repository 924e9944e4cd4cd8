"""LiteLLM's own redaction, of the version that is installed, is applied to the guard's words."""

from __future__ import annotations

import importlib
import time
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from litellm_cancel_guard import redaction
from litellm_cancel_guard.host.mends import redaction as mended
from litellm_cancel_guard.redaction import words
from litellm_cancel_guard.settings import Settings
from tests.terminal.loose import touch

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def no_host() -> Iterator[None]:
    yield
    redaction.use(redaction.Redaction())


def only(modules: dict[str, Any]) -> Any:
    def load(name: str) -> Any:
        if name in modules:
            return modules[name]
        raise ModuleNotFoundError(name)

    return load


def shouts(text: str) -> str:
    return text.upper()


@pytest.mark.parametrize(
    ("modules", "secrets", "internals"),
    [
        pytest.param({}, False, False, id="1.80"),
        pytest.param({"litellm._logging": {"_redact_string": shouts}}, True, False, id="1.83"),
        pytest.param(
            {"litellm.litellm_core_utils.secret_redaction": {"redact_string": shouts}}, True, False, id="1.93"
        ),
        pytest.param(
            {
                "litellm.litellm_core_utils.secret_redaction": {
                    "redact_string": shouts,
                    "redact_internal_details": shouts,
                }
            },
            *(True, True),
            id="1.103 - 1.110",
        ),
        pytest.param({"litellm._logging": {"redact_string": None}}, False, False, id="of another kind"),
    ],
)
def test_what_there_is_of_it_is_found(
    modules: dict[str, Any], secrets: bool, internals: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    stood_in = {name: SimpleNamespace(**holds) for name, holds in modules.items()}
    monkeypatch.setattr(mended, "import_module", only(stood_in))
    assert mended.mend(Settings(), touch()) == (secrets or internals)
    assert (words._hosts.secrets is not None, words._hosts.internals is not None) == (secrets, internals)
    assert (redaction.for_log("slow") == "SLOW") == secrets


def test_that_of_the_installed_litellm_is_applied(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LITELLM_DISABLE_REDACT_SECRETS", "true")
    assert mended.mend(Settings(), touch())
    monkeypatch.setattr(words, "FORMATS", ())
    token = "sk" + "-" + "aB3" * 16
    assert redaction.for_client(f"{token} is wrong") == "REDACTED is wrong"
    assert importlib.import_module("litellm.litellm_core_utils.secret_redaction")


def test_a_text_that_is_slow_for_litellm_does_not_hold_up_the_loop() -> None:
    assert mended.mend(Settings(), touch())
    for run in ("://", "a.", "a-", "-----BEGIN PRIVATE KEY-----", "eyJa."):
        began = time.process_time()
        redaction.for_client((run * 4000)[:4000])
        assert time.process_time() - began < 0.3, run
