"""Asks a proxy for every kind of every provider, and says what a client sees: right, silent, or a false alarm."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx
import yaml

from tests.failures.aws import CLAUDE, COMMAND, CONVERSE, LLAMA, MISTRAL, NOVA, TITAN
from tests.failures.kinds import ANTHROPIC, HALF, OLLAMA, OPENAI, REST, Kind
from tests.failures.others import COHERE, GOOGLE, RESPONSES
from tests.failures.provider import UNPLAYED, marked

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tests.harness.versions import Version

_AT_ONCE = 8
OPENAI_LIKE = ("azure", "openai", "hosted_vllm", "openrouter", "deepseek", "mistral", "xai", "groq", "zai")
# LiteLLM does not hand `n` on to the first two, and makes one choice of all of the last's.
_ONE_CHOICE = ("mistral", "zai", "watsonx")
# What LiteLLM's own reader of a provider raises at, guarded or not, and no provider is known to send it there.
_UNREADABLE = (("openrouter", "error: null"), ("openrouter", "filter behind the end"))
# What older versions serve nobody, guarded or not: they ask for Google's own SDK, and for no path; lose the name of a
# call in Nova's own stream; and raise at the usage behind an answer in Anthropic's protocol.
_SINCE: dict[Any, tuple[int, ...]] = {
    "vertex_claude": (1, 105),
    ("responses", "nova", "tool calls"): (1, 103),
    ("messages", "databricks", "usage behind"): (1, 103),
    ("messages", "databricks", "stays open behind usage"): (1, 103),
}
# Asked by newer versions in Anthropic's protocol, by older ones in OpenAI's: what the other has is not played.
_IN_ANTHROPICS = ("messages", "deepseek")
ROUTES = {"chat": "/v1/chat/completions", "messages": "/v1/messages"}
_PATHS = {**ROUTES, "responses": "/v1/responses"}
# Those that LiteLLM reads by one and the same reader, whoever sends it: of the whole table only.
ALIKE = (
    *("databricks", "together_ai", "fireworks_ai", "perplexity", "cerebras", "sambanova", "nvidia_nim", "watsonx"),
    *("huggingface", "llamafile", "lm_studio", "moonshot", "dashscope", "litellm_proxy"),
)
_ANYWHERE = {
    "gemini": GOOGLE,
    "cohere": COHERE,
    "converse": CONVERSE,
    "claude": CLAUDE,
    "llama": LLAMA,
    "nova": NOVA,
    "titan": TITAN,
    "bedrock_mistral": MISTRAL,
    "bedrock_cohere": COMMAND,
    "vertex": GOOGLE,
    "vertex_claude": ANTHROPIC,
    "upstream": RESPONSES,
    "bridged": RESPONSES,
}
KINDS = {
    **dict.fromkeys((*OPENAI_LIKE, *ALIKE), OPENAI),
    **_ANYWHERE,
    "anthropic": ANTHROPIC,
    "ollama": OLLAMA,
    "ollama_chat": OLLAMA,
}
_VERTEX = {"vertex": "gemini-2.5-pro", "vertex_claude": "claude-3-5-haiku@20241022"}
_BEDROCK = {
    "converse": "converse/us.amazon.nova-lite-v1:0",
    "claude": "invoke/anthropic.claude-3-haiku-20240307-v1:0",
    "llama": "invoke/meta.llama3-8b-instruct-v1:0",
    "nova": "invoke/us.amazon.nova-lite-v1:0",
    "titan": "invoke/amazon.titan-text-express-v1",
    "bedrock_mistral": "invoke/mistral.mistral-large-2402-v1:0",
    "bedrock_cohere": "invoke/cohere.command-text-v14",
}


def deployments(base: str, credentials: str) -> list[dict[str, Any]]:
    bases = dict.fromkeys((*OPENAI_LIKE, *ALIKE), f"{base}/v1") | dict.fromkeys(
        ("anthropic", "ollama", "ollama_chat"), base
    )
    models: list[dict[str, Any]] = [
        {"model_name": name, "litellm_params": {"model": f"{name}/m", "api_base": url, "api_key": "provider-key"}}
        for name, url in bases.items()
    ]
    watsonx = next(model for model in models if model["model_name"] == "watsonx")
    watsonx["litellm_params"] |= {"api_base": base, "token": "provider-token", "project_id": "project"}
    models.append(_at("cohere", "cohere_chat/command-r", f"{base}/v2/chat"))
    models.append(_at("gemini", "gemini/gemini-2.0-flash", base))
    models.append(_at("upstream", "openai/m", f"{base}/v1"))
    models.append(_at("bridged", "openai/responses/m", f"{base}/v1"))
    for name, model in _VERTEX.items():
        own = {"vertex_project": "project", "vertex_location": "us-east5", "vertex_credentials": credentials}
        params = {"model": f"vertex_ai/{model}", "api_base": f"{base}/v9/x", **own}
        models.append({"model_name": name, "litellm_params": params})
    for name, model in _BEDROCK.items():
        own = {"aws_bedrock_runtime_endpoint": base, "aws_region_name": "us-east-1"}
        keys = {"aws_access_key_id": "provider-key", "aws_secret_access_key": "provider-key"}
        models.append({"model_name": name, "litellm_params": {"model": f"bedrock/{model}", **own, **keys}})
    azure = next(model for model in models if model["model_name"] == "azure")
    azure["litellm_params"] |= {"api_base": base, "api_version": "2024-10-21"}
    passing = {"model_name": "passing", "model_info": {"cancel_guard": {"on_truncation": "pass"}}}
    vllm = next(model for model in models if model["model_name"] == "hosted_vllm")
    endless = [{**model, "model_name": f"endless_{model['model_name']}"} for model in models]
    return [*models, *endless, {**vllm, "model_name": "gpt"}, {**vllm, **passing}]


def _at(name: str, model: str, base: str) -> dict[str, Any]:
    return {"model_name": name, "litellm_params": {"model": model, "api_base": base, "api_key": "provider-key"}}


def settings(base: str, credentials: str) -> str:
    return yaml.safe_dump(
        {
            "model_list": deployments(base, credentials),
            "litellm_settings": {
                "use_chat_completions_url_for_anthropic_messages": True,
                "fallbacks": [],
                "drop_params": True,
            },
        }
    )


@dataclass(frozen=True)
class Cell:
    route: str
    provider: str
    kind: Kind
    group: str = ""
    """The name that it is asked for by, where that is not its provider's."""

    def is_served_by(self, version: Version) -> bool:
        since = _SINCE.get(self.provider, _SINCE.get((self.route, self.provider, self.kind.name), ()))
        return version.at_least(*since)

    def __str__(self) -> str:
        return f"{self.route} {self.provider} {self.kind.name}"


def cells(providers: Iterable[str] = tuple(KINDS), routes: Iterable[str] = tuple(_PATHS)) -> Iterator[Cell]:
    for provider in providers:
        for route in routes:
            if not _is_asked(provider, route):
                continue
            for kind in _kinds(route, provider):
                # Anthropic's protocol has no place for a second choice.
                asks = kind.n == 1 or (route == "chat" and provider not in _ONE_CHOICE)
                if asks and (provider, kind.name) not in _UNREADABLE:
                    yield Cell(route, provider, kind)


def _kinds(route: str, provider: str) -> Iterable[Kind]:
    if (route, provider) != _IN_ANTHROPICS:
        return KINDS[provider]
    known = {kind.name for kind in KINDS[provider]}
    return (*KINDS[provider], *(kind for kind in ANTHROPIC if kind.name not in known))


def _is_asked(provider: str, route: str) -> bool:
    if route == "responses":
        return provider in _ANYWHERE
    # On the other routes LiteLLM asks it in another protocol.
    return provider != "upstream"


@dataclass(frozen=True)
class Seen:
    """What came: `error` is empty where nothing of it is an error to an SDK."""

    status: int
    text: str
    error: str
    finish: str = ""

    @property
    def whole(self) -> bool:
        return not self.error

    def verdict(self, kind: Kind) -> str:
        if UNPLAYED in self.error:
            return "not played"
        if kind.whole:
            came = all(part in self.text for part in kind.text or (HALF, REST))
            return "right" if self.whole and came else "false alarm"
        if self.whole:
            return "silent"
        return "right" if kind.says in self.error else "wordless"


async def ask(client: httpx.AsyncClient, url: str, secret: str, cell: Cell) -> Seen:
    body: dict[str, Any] = {"model": cell.group or cell.provider, "stream": True, "max_tokens": 64}
    asked = [{"role": "user", "content": marked(cell.kind)}]
    body |= {"input": asked} if cell.route == "responses" else {"messages": asked}
    if cell.kind.n > 1:
        body["n"] = cell.kind.n
    try:
        headers = {"Authorization": f"Bearer {secret}", "anthropic-version": "2023-06-01"}
        answer = await client.post(f"{url}{_PATHS[cell.route]}", json=body, headers=headers)
    except httpx.HTTPError as broken:
        return Seen(0, "", f"{type(broken).__name__}")
    if answer.status_code != httpx.codes.OK:
        return Seen(answer.status_code, "", answer.text)
    return Seen(200, *_READERS[cell.route](answer.text))


def _chat(body: str) -> tuple[str, str, str]:
    """As openai's SDK: a truthy `error` is raised; an end without `[DONE]` is none to it."""
    text = finish = ""
    for line in body.split("\n"):
        if not line.startswith("data: {"):
            continue
        event = json.loads(line.removeprefix("data: "))
        if event.get("error"):
            return text, line, finish
        for choice in event["choices"]:
            text += choice["delta"].get("content") or ""
            finish = choice.get("finish_reason") or finish
            text += "".join(
                json.dumps(call["function"]["arguments"]) for call in choice["delta"].get("tool_calls") or ()
            )
    return text, "", finish


def _messages(body: str) -> tuple[str, str]:
    """As anthropic's SDK: an `event: error` is raised, and an end without `message_stop` has no message."""
    text = ""
    for block in body.replace("\r\n", "\n").split("\n\n"):
        said = dict(line.partition(": ")[::2] for line in block.split("\n"))
        if said.get("event") == "error":
            return text, block
        if said.get("event") == "content_block_delta":
            delta = json.loads(said["data"])["delta"]
            text += delta.get("text") or json.dumps(delta.get("partial_json", ""))
    return text, "" if "event: message_stop" in body else "no message_stop"


def _responses(body: str) -> tuple[str, str]:
    """As openai's SDK: a top-level `error` is raised, and an end without its last event has no response."""
    text = ""
    for line in body.replace("\r\n", "\n").split("\n"):
        if not line.startswith("data: {"):
            continue
        event = json.loads(line.removeprefix("data: "))
        if event.get("error") or event.get("type") in ("error", "response.failed"):
            return text, line
        if str(event.get("type")).endswith((".delta", "arguments.done")):
            text += event.get("delta") or event.get("arguments") or ""
        if event.get("type") in ("response.completed", "response.incomplete"):
            return text, ""
    return text, "no response.completed"


_READERS: dict[str, Any] = {"chat": _chat, "messages": _messages, "responses": _responses}


async def play(url: str, secret: str, asked: list[Cell]) -> list[Seen]:
    turn = asyncio.Semaphore(_AT_ONCE)
    async with httpx.AsyncClient(timeout=30, trust_env=False) as client:

        async def one(cell: Cell) -> Seen:
            async with turn:
                return await ask(client, url, secret, cell)

        return list(await asyncio.gather(*(one(cell) for cell in asked)))


def counted(asked: list[Cell], seen: list[Seen]) -> Counter[str]:
    return Counter(one.verdict(cell.kind) for cell, one in zip(asked, seen, strict=True))
