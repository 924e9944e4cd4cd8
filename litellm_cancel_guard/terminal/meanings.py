"""What a failure's name means, as data with its source: a provider's word, its own number, or its sentence -> a status.

A name that is in no list here means nothing: what is told of it then is `BROKEN_OFF`, as of a stream that breaks.
"""

from __future__ import annotations

import re
from typing import Any

# A stream that broke off, or failed without saying how. 503 and not 502, which is as true: qwen-code asks again for 503
# alone (0.15 - 0.24; else for 429, 1302 and 1305), and the clients that know neither make the same of both.
BROKEN_OFF = 503

_HTTP_ERROR = range(400, 600)
_OWN_NUMBER = re.compile(r"^\s*\[?(\d{4})\]")
# What a sentence may be looked at: it says what has failed at its beginning.
_SEEN = 400

# Lower case.
WORDS: dict[str, int] = {}


def _mean(status: int, *words: str) -> None:
    WORDS.update(dict.fromkeys(words, status))


# platform.openai.com/docs/guides/error-codes; learn.microsoft.com: Azure's filter; docs.anthropic.com/en/api/errors.
_mean(429, "rate_limit_exceeded", "rate_limit_error", "rate_limit", "rate_limited", "too_many_requests")
_mean(429, "insufficient_quota", "usage_not_included", "billing_not_active", "billing_hard_limit_reached")
_mean(529, "overloaded_error", "overloaded")
_mean(503, "service_unavailable", "server_is_overloaded", "slow_down", "service_unavailable_error")
_mean(504, "timeout_error", "vector_store_timeout")
_mean(500, "api_error", "server_error", "internal_server_error", "internal_error")
_mean(400, "invalid_request_error", "content_filter", "content_policy_violation", "responsibleaipolicyviolation")
_mean(401, "authentication_error", "invalid_api_key")
_mean(402, "billing_error")
_mean(403, "permission_error")
_mean(404, "not_found_error", "model_not_found")
_mean(413, "request_too_large")
# google.rpc.Code.
_mean(429, "resource_exhausted")
_mean(503, "unavailable")
_mean(504, "deadline_exceeded")
_mean(500, "internal", "unknown", "data_loss")
_mean(400, "invalid_argument", "failed_precondition", "out_of_range")
_mean(401, "unauthenticated")
_mean(403, "permission_denied")
_mean(404, "not_found")
_mean(409, "aborted", "already_exists")
# docs.aws.amazon.com/bedrock/latest/APIReference: the exceptions of ConverseStream and of a response stream.
_mean(429, "throttlingexception", "toomanyrequestsexception", "servicequotaexceededexception")
_mean(503, "serviceunavailableexception", "modelnotreadyexception")
_mean(504, "modeltimeoutexception")
_mean(500, "internalserverexception", "modelstreamerrorexception", "modelerrorexception")
_mean(400, "validationexception")
_mean(403, "accessdeniedexception")
_mean(404, "resourcenotfoundexception")
# vLLM and SGLang: entrypoints/openai, the names of http.HTTPStatus; LiteLLM as a provider: its exceptions' names.
_mean(429, "toomanyrequests", "too many requests", "ratelimiterror", "throttling_error")
_mean(503, "serviceunavailable", "service unavailable", "serviceunavailableerror")
_mean(500, "internalservererror", "internal server error")
_mean(502, "bad gateway", "badgatewayerror", "bad_gateway")
_mean(504, "gateway timeout", "gateway_timeout", "timeout")
_mean(400, "badrequesterror", "bad request", "bad_request", "contextwindowexceedederror", "contentpolicyviolationerror")
_mean(404, "notfounderror", "not found")
# platform.moonshot.ai/docs/api/errors.
_mean(429, "engine_overloaded_error", "rate_limit_reached_error", "exceeded_current_quota_error")
# alibabacloud.com/help/en/model-studio/error-code.
_mean(429, "throttling", "throttling.ratequota", "throttling.burstrate", "throttling.allocationquota", "limitrequests")
_mean(400, "datainspectionfailed", "data_inspection_failed", "invalidparameter")
_mean(500, "internalerror", "internalerror.algo")
_mean(504, "internalerror.timeout", "requesttimeout")
_mean(503, "modelservingerror", "modelunavailable")
# docs.mistral.ai; openrouter.ai/docs/api-reference/errors.
_mean(429, "service_tier_capacity_exceeded")
_mean(502, "provider_unavailable")

# z.ai's own numbers (docs.z.ai/api-reference/api-code); on its Anthropic endpoint they are the type, too.
_mean(429, "1113", "1302", "1303", "1304", "1305", "1308", "1309", "1310", "1313")
_mean(400, "1210", "1213", "1214", "1215", "1261", "1300", "1301")
_mean(404, "1211", "1212", "1221", "1222")
_mean(403, "1220")
_mean(500, "1200", "1230", "1234")

# xAI's `code` is a sentence: what gRPC's tonic says of each code (tonic/src/status.rs `Code::description`).
_mean(400, "client specified an invalid argument", "operation was attempted past the valid range")
_mean(400, "the system is not in a state required for the operation's execution")
_mean(401, "the request does not have valid authentication credentials")
_mean(403, "the caller does not have permission to execute the specified operation")
_mean(404, "some requested entity was not found")
_mean(409, "the operation was aborted", "some entity that we attempted to create already exists")
_mean(429, "some resource has been exhausted")
_mean(500, "internal error", "unknown error", "unrecoverable data loss or corruption")
_mean(503, "the service is currently unavailable")
_mean(504, "deadline expired before operation could complete")

# The codes of the Responses API for requests that will never be served (openai 3.54, `ResponseError`; codex-rs).
REFUSED = (
    *("context_length_exceeded", "invalid_prompt", "cyber_policy", "bio_policy", "data_residency_mismatch"),
    *("invalid_image", "invalid_image_format", "invalid_base64_image", "invalid_image_url", "invalid_image_mode"),
    *("image_too_large", "image_too_small", "image_parse_error", "image_content_policy_violation"),
    *("image_file_too_large", "unsupported_image_media_type", "empty_image_file", "failed_to_download_image"),
    "image_file_not_found",
)
_mean(400, *REFUSED)

# Where an error has nothing but a sentence (Ollama, llama.cpp's gateways, OpenRouter): the first that is found in it.
# Ollama's runner that has died says `unexpected EOF` (ollama server/routes.go), OpenRouter `Upstream idle timeout`.
_SENTENCES = (
    (429, re.compile(r"\brate.?limit|\btoo many requests\b|\bquota\b", re.IGNORECASE)),
    (
        400,
        re.compile(
            r"\bcontext (?:length|size|window)\b|\bmaximum context\b|\bcontent (?:policy|filter)", re.IGNORECASE
        ),
    ),
    (504, re.compile(r"\btime(?:d|s)?[ -]?out\b|\bdeadline exceeded\b", re.IGNORECASE)),
    (503, re.compile(r"\boverloaded\b|\bcapacity\b|\bunavailable\b|\bunexpected EOF\b", re.IGNORECASE)),
)


def number_of(value: Any) -> int | None:
    """Return *value* as the status of an HTTP error; it may be an int, a text, or something else altogether."""
    if isinstance(value, bool) or not isinstance(value, int | str):
        return None
    try:
        number = int(value)
    except ValueError:
        return None
    return number if number in _HTTP_ERROR else None


def meant_by(value: Any) -> int | None:
    """Return the status that *value*, a code or a type that is no status itself, means."""
    return WORDS.get(str(value).lower()) if isinstance(value, int | str) else None


def status_said(sentence: str) -> int | None:
    """Return the status that a *sentence* means by which alone a provider tells of its failure."""
    own = _OWN_NUMBER.match(sentence[:_SEEN])
    if own is not None and (known := WORDS.get(own[1])) is not None:
        return known
    return next((status for status, pattern in _SENTENCES if pattern.search(sentence[:_SEEN])), None)
