"""The cells of the matrix, as data: who is asked how, what goes wrong, and what its client must see."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import yaml

from tests.harness.provider.script import Script

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.harness.versions import Version

BACKUP = "backup"
OVERLOADED = 529
CUT = 503


@dataclass(frozen=True)
class Provider:
    """A kind of upstream: `upstream` is the model name that it is asked for."""

    name: str
    model: str
    upstream: str
    google: bool = False
    sdks: tuple[str, ...] = ("chat", "messages", "responses")

    def deployment(self, base: str, credentials: str) -> dict[str, Any]:
        params = {"model": self.model, "api_key": "provider-key", "api_base": base}
        if self.name in ("openai", "text"):
            params["api_base"] = f"{base}/v1"
        elif self.name == "vertex":
            params = {"model": self.model, "api_base": f"{base}/v9/x", "vertex_credentials": credentials}
            params |= {"vertex_project": "project", "vertex_location": "us-central1"}
        return params


_COMMON = ("chat", "messages", "responses")
PROVIDERS = {
    provider.name: provider
    for provider in (
        Provider("openai", "openai/first-gpt", "first-gpt"),
        Provider("anthropic", "anthropic/claude-3-5-haiku-20241022", "claude-3-5-haiku-20241022"),
        Provider("gemini", "gemini/gemini-2.0-flash", "gemini-2.0-flash", google=True, sdks=(*_COMMON, "genai")),
        Provider("vertex", "vertex_ai/gemini-2.5-pro", "gemini", google=True),
        Provider("text", "text-completion-openai/first-instruct", "first-instruct", sdks=("text",)),
    )
}


@dataclass(frozen=True)
class Failure:
    """One way to fail. `begun`: content has come before; `status`: what the client must be told."""

    name: str
    act: dict[str, Any]
    status: int = 429
    begun: bool = True
    google_only: bool = False
    spins: bool = False
    """Where Google is the provider and the guard is not there, LiteLLM up to 1.94 never comes back from it."""

    def script(self, run: str, only: str) -> Script:
        return replace(Script(run, chunks=5, only=only), **self.act)


_MID = {"error_step": 3}
FAILURES = {
    failure.name: failure
    for failure in (
        Failure("http429", {"status": 429, "retry_after": 7}, begun=False),
        Failure("first429", {"error_step": 0}, begun=False),
        Failure("mid429", _MID),
        Failure("mid529", {**_MID, "error_status": 529}, 529),
        Failure("mid500", {**_MID, "error_status": 500}, 500),
        Failure("pretty429", {**_MID, "error_as": "pretty"}, google_only=True),
        Failure("array429", {**_MID, "error_as": "array"}, google_only=True),
        Failure("open429", {**_MID, "error_as": "open_array"}, google_only=True, spins=True),
        Failure("html429", {**_MID, "error_as": "html"}, google_only=True, spins=True),
        Failure("first_html429", {"error_step": 0, "error_as": "html"}, begun=False, google_only=True, spins=True),
        Failure("cut", {**_MID, "error_as": "cut"}, 503, spins=True),
        Failure("reset", {"break_step": 3, "gap": 0.05}, 503),
        Failure("close", {"break_step": 3, "break_by": "end"}, 503),
    )
}
FALLBACKS = ("none", "good", "limited")


@dataclass(frozen=True)
class Cell:
    sdk: str
    provider: Provider
    failure: Failure
    fallback: str = "none"

    @property
    def model(self) -> str:
        return self.provider.name if self.fallback == "none" else f"{self.provider.name}-fb"

    def spins(self, version: Version) -> bool:
        """Whether LiteLLM alone must be killed after it; Google's native route hands on what it can't read."""
        return self.failure.spins and self.provider.google and self.sdk != "genai" and version.spins

    def statuses(self, version: Version) -> set[int]:
        """What the client may be told; where LiteLLM keeps the number from everybody, a 500 is as true."""
        told = {self.failure.status}
        bridged = self.provider.name == "openai" and self.sdk in ("messages", "responses", "cursor")
        if bridged and self.failure.status == OVERLOADED:
            # OpenAI's Responses events have a word for it, and no number.
            told.add(500)
        if bridged and self.failure.status == CUT and not version.at_least(1, 83):
            # It raises a ValidationError of its own at the end of a cut one.
            told.add(500)
        # A fallback that is limited as well was the last to fail, where it was asked.
        return told | {429} if self.fallback == "limited" else told

    def fallback_must_run(self, version: Version) -> bool:
        """Whether LiteLLM's own fallback takes this failure, as it does without the guard."""
        eager = self.failure.name == "http429" and self.provider.name in ("openai", "anthropic")
        return eager or (self.sdk == "chat" and not self.failure.begun and version.at_least(1, 83))

    def text(self, run: str) -> str:
        """What the program asks: the script of the one that fails, then that of whoever comes after it."""
        first = self.failure.script(run, self.provider.upstream)
        backup = Script(run, chunks=5, status=429 if self.fallback == "limited" else 0)
        return f"{first} {backup}"

    def __str__(self) -> str:
        return f"{self.sdk}-{self.provider.name}-{self.failure.name}-{self.fallback}"


def cells(sdk: str, provider: Provider, fallback: str) -> Iterator[Cell]:
    for failure in FAILURES.values():
        if not failure.google_only or provider.google:
            yield Cell(sdk, provider, failure, fallback)


def settings(base: str, credentials: str) -> str:
    """The config of the proxies: each provider with and without a fallback."""
    models = []
    fallbacks = []
    for provider in PROVIDERS.values():
        params = provider.deployment(base, credentials)
        models += [{"model_name": f"{provider.name}{end}", "litellm_params": params} for end in ("", "-fb")]
        fallbacks.append({f"{provider.name}-fb": [BACKUP]})
    backup = {"model": f"openai/{BACKUP}", "api_key": "provider-key", "api_base": f"{base}/v1"}
    models.append({"model_name": BACKUP, "litellm_params": backup})
    models.append({"model_name": "gpt", "litellm_params": backup})
    canned = {"mock_response": "a canned answer"}
    models += [
        {"model_name": f"canned-{provider.name}", "litellm_params": provider.deployment(base, credentials) | canned}
        for provider in PROVIDERS.values()
    ]
    return yaml.safe_dump({"model_list": models, "litellm_settings": {"fallbacks": fallbacks}})
