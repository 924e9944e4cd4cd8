"""What providers call the end of an answer: the reasons that mean a failure, and those that are an end of another name.

LiteLLM makes `stop` of each that its own table lacks (1.80 - 1.110, litellm_core_utils/core_helpers.py
`map_finish_reason`). A reason that is in neither table is no failure: it goes out as the provider spells it.
"""

from __future__ import annotations

from typing import Any

from litellm_cancel_guard.terminal import wording
from litellm_cancel_guard.terminal.failure import Failure
from litellm_cancel_guard.terminal.meanings import BROKEN_OFF

_UNAVAILABLE = 503

# The reason as sent, and the status that it means.
_FAILED: dict[str, int] = {
    # docs.z.ai, chat completion: "network_error: a network error occurred" (earendil-works/pi#2313)
    "network_error": BROKEN_OFF,
    # api-docs.deepseek.com, chat completion (tetsuo-ai/agenc-core#2492)
    "insufficient_system_resource": _UNAVAILABLE,
    # openrouter.ai/docs, errors in mid-stream; docs.mistral.ai, FinishReason (BerriAI/litellm#33968)
    "error": BROKEN_OFF,
    # vLLM, v1/engine `FinishReason.ABORT`; SGLang, `FINISH_ABORT` (vllm-project/vllm#57082)
    "abort": BROKEN_OFF,
    # docs.cohere.com, chat
    "ERROR": BROKEN_OFF,
    "TIMEOUT": 504,
    # docs.aws.amazon.com, Converse `stopReason`
    "malformed_model_output": BROKEN_OFF,
    "malformed_tool_use": BROKEN_OFF,
    # docs.cohere.com, chat of its first version: the context was full
    "ERROR_LIMIT": 400,
    # ai.google.dev, `FinishReason`; the last is said of a request that lacks what it has to bring back
    "MALFORMED_FUNCTION_CALL": BROKEN_OFF,
    "MALFORMED_RESPONSE": BROKEN_OFF,
    "UNEXPECTED_TOOL_CALL": BROKEN_OFF,
    "TOO_MANY_TOOL_CALLS": BROKEN_OFF,
    "MISSING_THOUGHT_SIGNATURE": 400,
    # docs.ollama.com, api: a model that was loaded for a prompt has said nothing yet
    "load": _UNAVAILABLE,
}

# Ends that a provider documents, and what OpenAI's protocol calls them.
ENDS: dict[str, str] = {
    # platform.openai.com, chat completions
    **{word: word for word in ("stop", "length", "tool_calls", "function_call", "content_filter")},
    # docs.anthropic.com, `stop_reason`
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "tool_use": "tool_calls",
    "pause_turn": "length",
    "refusal": "content_filter",
    "compaction": "length",
    # docs.anthropic.com and docs.z.ai
    "model_context_window_exceeded": "length",
    # docs.z.ai, chat completion: the text was stopped by its audit
    "sensitive": "content_filter",
    # docs.mistral.ai, FinishReason
    "model_length": "length",
    # platform.openai.com, Responses `incomplete_details.reason`
    "max_output_tokens": "length",
    # docs.together.ai and huggingface.co, text generation
    "eos": "stop",
    "eos_token": "stop",
    # docs.cohere.com, chat
    "COMPLETE": "stop",
    "STOP_SEQUENCE": "stop",
    "MAX_TOKENS": "length",
    "TOOL_CALL": "tool_calls",
    "ERROR_TOXIC": "content_filter",
    # docs.aws.amazon.com, Converse `stopReason`
    "guardrail_intervened": "content_filter",
    "content_filtered": "content_filter",
    # ai.google.dev, `FinishReason`, as gateways hand it on (`MAX_TOKENS` is Cohere's, too)
    "STOP": "stop",
    **dict.fromkeys(("SAFETY", "RECITATION", "LANGUAGE", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII"), "content_filter"),
    **dict.fromkeys(("IMAGE_SAFETY", "IMAGE_PROHIBITED_CONTENT", "IMAGE_RECITATION", "OTHER"), "content_filter"),
    # docs.ollama.com, api: the model was asked to go
    "unload": "stop",
}


def failure_by(reason: str, words: Any = None) -> Failure | None:
    """Return the failure that a finish reason tells of; None for an end, and for one that nobody documents.

    *words* are the provider's own for it, where it has some.
    """
    status = _FAILED.get(reason)
    if status is None:
        return None
    said = wording.cleaned(words, status) if words and isinstance(words, str) else ""
    return Failure(status, said or f"The provider ended its answer with `{reason}`.")
