"""The config of a proxy whose providers are many, or can't be reached."""

from __future__ import annotations

from typing import Any

import yaml

from tests.harness.process import LOOPBACK, free_port

OPENAI_LIKE = {
    "openai": "openai/first-gpt",
    "hosted_vllm": "hosted_vllm/llama",
    "zai": "zai/glm-4.6",
    "xai": "xai/grok-4",
    "deepseek": "deepseek/deepseek-chat",
    "openrouter": "openrouter/some/model",
    "groq": "groq/llama-3.3-70b-versatile",
    "mistral": "mistral/mistral-large-latest",
    "litellm_proxy": "litellm_proxy/first-gpt",
}
OTHERS = {
    "anthropic": "anthropic/claude-3-5-haiku-20241022",
    "gemini": "gemini/gemini-2.0-flash",
    "ollama_chat": "ollama_chat/llama3",
    "cohere": "cohere_chat/command-r",
    "converse": "bedrock/converse/us.amazon.nova-lite-v1:0",
    "claude": "bedrock/invoke/anthropic.claude-3-haiku-20240307-v1:0",
}


def settings(base: str, breaking: dict[str, str]) -> str:
    """*breaking*: where the servers are that break their connections, by their names."""
    places = {
        "": base,
        "refused": f"http://{LOOPBACK}:{free_port()}",
        "nowhere": "http://provider.invalid",
        "plain": base.replace("http", "https"),
        **breaking,
    }
    models = []
    for where, place in places.items():
        for name, model in (OPENAI_LIKE | OTHERS).items():
            api_base = f"{place}/v1" if name in OPENAI_LIKE else place
            params: dict[str, Any] = {"model": model, "api_key": "provider-key", "api_base": api_base}
            if model.startswith("bedrock"):
                params = {"model": model, "aws_bedrock_runtime_endpoint": place, "aws_region_name": "us-east-1"}
            models.append({"model_name": f"{name}-{where}" if where else name, "litellm_params": params})
    usual = {"model": "openai/first-gpt", "api_key": "provider-key", "api_base": f"{base}/v1"}
    models.append({"model_name": "gpt", "litellm_params": usual})
    return yaml.safe_dump({"model_list": models})
