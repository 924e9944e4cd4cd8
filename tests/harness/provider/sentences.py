"""What providers, gateways and proxies in front of them have said in errors, with made-up secrets in it.

Each value has the form that its issuer publishes, and is put together here: no file of the project holds one whole.
"""

from __future__ import annotations

import base64
import random
import string
from typing import NamedTuple

_MIXED = string.ascii_letters + string.digits
_HEX = "0123456789abcdef"


class Sentence(NamedTuple):
    """`says` holds each of `hides`, which nobody may read, and each of `keeps`, which a client needs."""

    says: str
    hides: tuple[str, ...]
    keeps: tuple[str, ...] = ()


def _chars(seed: str, length: int, alphabet: str = _MIXED) -> str:
    """The same on each call, for the provider and the test are two processes; with a digit and a capital in it."""
    chosen = random.Random(seed)
    return "".join(chosen.choice(alphabet) for _ in range(length - 2)) + ("7Q" if alphabet == _MIXED else alphabet[:2])


def _jwt() -> str:
    parts = (b'{"alg":"RS256","typ":"JWT"}', b'{"sub":"operator","iat":1700000000}')
    head = ".".join(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts)
    return f"{head}.{_chars('signature', 43)}"


_BEGIN, _END = (f"-----{word} PRIVATE KEY-----" for word in ("BEGIN", "END"))
_PEM = "\n".join((_BEGIN, _chars("pem one", 64), _chars("pem two", 64), _END))
_OPENAI = "sk-" + "proj-" + _chars("openai", 48)
_SHORT = "sk-" + _chars("short", 20)
_ANTHROPIC = "sk-" + "ant-api03-" + _chars("anthropic", 60) + "-AA"
_ROUTER = "sk-" + "or-v1-" + _chars("router", 64, _HEX)
_GOOGLE = "AI" + "za" + "Sy" + _chars("google", 33)
_OAUTH = "ya" + "29." + _chars("oauth", 60)
_AWS_ID = "AK" + "IA" + _chars("aws id", 16, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567")
_AWS_SECRET = _chars("aws secret", 19) + "/" + _chars("aws secret's rest", 20)
_AWS_TOKEN = "IQo" + "Jb3JpZ2lu" + _chars("aws session", 120)
_AWS_SIGNATURE = _chars("presigned", 64, _HEX)
_HASH = _chars("hash of a key", 64, _HEX)
_GITHUB = "gh" + "p_" + _chars("github", 36)
_GITLAB = "gl" + "pat-" + _chars("gitlab", 20)
_SLACK = "xo" + "xb-" + "1234567890123-" + _chars("slack", 24)
_HUGGING = "hf" + "_" + _chars("hugging face", 34)
_GROQ = "gs" + "k_" + _chars("groq", 52)
_XAI = "xa" + "i-" + _chars("xai", 80)
_PPLX = "pp" + "lx-" + _chars("perplexity", 48)
_REPLICATE = "r8" + "_" + _chars("replicate", 37)
_NVIDIA = "nv" + "api-" + _chars("nvidia", 64)
_DATABRICKS = "da" + "pi" + _chars("databricks", 32, _HEX)
_BEARER = _chars("bearer", 32)
_BASIC = base64.b64encode(b"operator:" + _chars("basic", 12).encode()).decode()
_AZURE = _chars("azure", 32, _HEX)
_AZURE_NEW = _chars("azure new", 52) + "JQQJ" + "99" + _chars("azure's rest", 26)
_ACCOUNT_KEY = base64.b64encode(_chars("account key", 64).encode()).decode()
_SAS = _chars("sas", 43) + "%3D"
_PASSWORD = "pa55-" + _chars("password", 10)
_STRIPE = "sk" + "_live_" + _chars("stripe", 24)
_USER = "user" + "_2" + _chars("user", 26)
_ORG = "org" + "-" + _chars("organization", 24)

SENTENCES = (
    Sentence(
        f"Incorrect API key provided: {_OPENAI}. You can find your API key at https://platform.openai.com/account/api-keys.",
        (_OPENAI,),
        ("Incorrect API key provided", "https://platform.openai.com/account/api-keys"),
    ),
    Sentence(
        f"invalid x-api-key {_ANTHROPIC} for claude-3-5-haiku-20241022", (_ANTHROPIC,), ("claude-3-5-haiku-20241022",)
    ),
    Sentence(f"No auth credentials found for {_ROUTER}", (_ROUTER,), ("No auth credentials found for",)),
    Sentence(f"Key {_SHORT} has reached its limit of 120 requests", (_SHORT,), ("its limit of 120 requests",)),
    Sentence(f"API key not valid: {_GOOGLE}. Please pass a valid API key.", (_GOOGLE,), ("Please pass a valid",)),
    Sentence(
        "POST https://generativelanguage.googleapis.com/v1beta/models/gemini-2.0-flash:streamGenerateContent"
        f"?key={_GOOGLE}&alt=sse failed",
        (_GOOGLE,),
        ("https://generativelanguage.googleapis.com/v1beta/models/gemini-2.0-flash", "failed"),
    ),
    Sentence(f"Request had invalid authentication credentials {_OAUTH}", (_OAUTH,), ("Request had invalid",)),
    Sentence(f"The security token of {_AWS_ID} is expired", (_AWS_ID,), ("is expired",)),
    Sentence(f"InvalidSignature with {_AWS_ID}:{_AWS_SECRET} in us-east-1", (_AWS_ID, _AWS_SECRET), ("in us-east-1",)),
    Sentence(f"aws_secret_access_key={_AWS_SECRET} does not match", (_AWS_SECRET,), ("does not match",)),
    Sentence(f"The token {_AWS_TOKEN} has expired at 12:00:05", (_AWS_TOKEN,), ("has expired at 12:00:05",)),
    Sentence(
        f"GET https://bucket.s3.amazonaws.com/file.json?X-Amz-Credential={_AWS_ID}%2F20260101"
        f"&X-Amz-Signature={_AWS_SIGNATURE} was refused",
        (_AWS_ID, _AWS_SIGNATURE),
        ("https://bucket.s3.amazonaws.com/file.json", "was refused"),
    ),
    Sentence(
        "User: arn:aws:iam::123456789012:user/operator is not authorized to perform bedrock:InvokeModel on resource "
        "arn:aws:bedrock:us-east-1::foundation-model/anthropic.claude-3-haiku-20240307-v1:0",
        ("123456789012", "user/operator"),
        ("anthropic.claude-3-haiku-20240307-v1:0", "is not authorized to perform"),
    ),
    Sentence(
        f"could not sign with {_PEM} today",
        (_chars("pem one", 64), _chars("pem two", 64)),
        ("could not sign with", "today"),
    ),
    Sentence(
        f'{{"type": "service_account", "private_key_id": "{_chars("key id", 40, _HEX)}", '
        '"client_email": "proxy@our-project.iam.gserviceaccount.com"} is disabled',
        (_chars("key id", 40, _HEX), "our-project"),
        ("is disabled",),
    ),
    Sentence(f"Access denied due to invalid subscription key: {_AZURE}", (_AZURE,), ("Access denied due to invalid",)),
    Sentence(
        f"api-key: {_AZURE_NEW} is not permitted on gpt-4o-mini-2024-07-18", (_AZURE_NEW,), ("gpt-4o-mini-2024-07-18",)
    ),
    Sentence(
        f"DefaultEndpointsProtocol=https;AccountName=ours;AccountKey={_ACCOUNT_KEY};EndpointSuffix=core.windows.net"
        " is locked",
        (_ACCOUNT_KEY,),
        ("is locked",),
    ),
    Sentence(
        f"https://ours.blob.core.windows.net/c/f?sv=2022-11-02&sig={_SAS}&se=2026 has expired",
        (_SAS,),
        ("has expired",),
    ),
    Sentence(f"remote: bad credentials {_GITHUB}", (_GITHUB,), ("remote: bad",)),
    Sentence(f"401 for {_GITLAB} on the registry", (_GITLAB,), ("401 for", "on the registry")),
    Sentence(f"Slack says invalid_auth for {_SLACK}", (_SLACK,), ("Slack says invalid_auth",)),
    Sentence(
        f"token {_HUGGING} cannot read meta-llama/Llama-3.1-8B-Instruct",
        (_HUGGING,),
        ("meta-llama/Llama-3.1-8B-Instruct",),
    ),
    Sentence(
        f"{_GROQ} is over its tokens per minute (TPM): Limit 6000, Used 5900, Requested 300",
        (_GROQ,),
        ("Limit 6000, Used 5900, Requested 300",),
    ),
    Sentence(f"Incorrect API key: {_XAI}", (_XAI,), ("Incorrect",)),
    Sentence(f"{_PPLX} was revoked", (_PPLX,), ("was revoked",)),
    Sentence(f"Unauthenticated {_REPLICATE}", (_REPLICATE,), ("Unauthenticated",)),
    Sentence(f"{_NVIDIA} exceeded 40 requests", (_NVIDIA,), ("exceeded 40 requests",)),
    Sentence(
        f"{_DATABRICKS} may not use databricks-meta-llama-3-3-70b-instruct",
        (_DATABRICKS,),
        ("databricks-meta-llama-3-3-70b-instruct",),
    ),
    Sentence(f"Authorization: Bearer {_BEARER} was rejected", (_BEARER,), ("was rejected",)),
    Sentence(
        f'{{"authorization": "Bearer {_BEARER}", "x-request-id": "req_011CSHoEeqs5C35K2UUqR7Fy"}}',
        (_BEARER,),
        ("req_011CSHoEeqs5C35K2UUqR7Fy",),
    ),
    Sentence(f"upstream got bearer {_BEARER} and gave up", (_BEARER,), ("and gave up",)),
    Sentence(f"Authorization: Basic {_BASIC} failed", (_BASIC,), ("failed",)),
    Sentence(f"curl -H 'x-api-key: {_BEARER}' says 403", (_BEARER,), ("says 403",)),
    Sentence(f'{{"api_key": "{_BEARER}", "model": "openai/gpt-4.1-nano"}}', (_BEARER,), ("openai/gpt-4.1-nano",)),
    Sentence(f"session {_jwt()} is too old", (_jwt(), _chars("signature", 43)), ("is too old",)),
    Sentence(
        f"could not connect to postgresql://operator:{_PASSWORD}@db.example.com:5432/litellm in 3.2s",
        (_PASSWORD,),
        ("could not connect to", "in 3.2s"),
    ),
    Sentence(f"redis://:{_PASSWORD}@cache.example.com:6379/0 refused", (_PASSWORD,), ("refused",)),
    Sentence(f"proxy https://operator:{_PASSWORD}@proxy.example.com/ says 407", (_PASSWORD,), ("says 407",)),
    Sentence(f"login failed: user=operator password={_PASSWORD} host=db", (_PASSWORD,), ("login failed",)),
    Sentence(
        f"GET https://api.example.com/v1/x?access_token={_BEARER}&page=2 failed with 502",
        (_BEARER,),
        ("failed with 502",),
    ),
    Sentence(
        f"Rate limit exceeded for api_key: {_HASH}. Limit type: max_parallel_requests. Current limit: 4",
        (_HASH,),
        ("Limit type: max_parallel_requests", "Current limit: 4"),
    ),
    Sentence(f"Budget of key {_HASH} is spent", (_HASH,), ("is spent",)),
    Sentence(
        "connection to http://10.20.30.40:8000/v1/chat/completions timed out after 600.0 s",
        ("10.20.30.40",),
        ("timed out after 600.0 s",),
    ),
    Sentence("dial tcp 192.168.17.4:11434: connect: connection refused", ("192.168.17.4",), ("connection refused",)),
    Sentence(
        "no route to [fd12:3456:789a::1]:8080 from vllm-0.inference.svc.cluster.local:8000",
        ("fd12:3456", "vllm-0", "cluster.local"),
        ("no route to",),
    ),
    Sentence(
        "cannot read /etc/litellm/providers/credentials or C:\\Users\\operator\\keys.txt",
        ("/etc/litellm", "keys.txt"),
        ("cannot read",),
    ),
    Sentence("FileNotFoundError at /opt/models/private-model/config.json", ("private-model",), ()),
    Sentence(
        f"Rate limit reached for gpt-4o in organization {_ORG} on requests per min (RPM): Limit 500."
        " Please try again in 120ms.",
        (_ORG,),
        ("Rate limit reached for gpt-4o in organization", "Limit 500", "Please try again in 120ms"),
    ),
    Sentence(
        f'No endpoints found for deepseek/deepseek-r1:free, "user_id": "{_USER}"',
        (_USER,),
        ("deepseek/deepseek-r1:free",),
    ),
    Sentence(
        f"card of {_STRIPE} was declined, see https://docs.stripe.com/error-codes",
        (_STRIPE,),
        ("https://docs.stripe.com/error-codes",),
    ),
)

_AT_ONCE = 6
GROUPS = tuple(SENTENCES[at : at + _AT_ONCE] for at in range(0, len(SENTENCES), _AT_ONCE))


def said(group: int) -> str:
    """The words of an error that says all of a group."""
    return "; ".join(sentence.says for sentence in GROUPS[group])
