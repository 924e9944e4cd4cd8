"""What words lose on their way out, and what they keep."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from litellm_cancel_guard.redaction import REDACTED, Redaction, bounded, for_client, for_log, use
from litellm_cancel_guard.redaction.formats import FORMATS
from litellm_cancel_guard.redaction.tokens import TOKENS
from tests.harness.provider.sentences import SENTENCES, Sentence

if TYPE_CHECKING:
    from collections.abc import Iterator

    from litellm_cancel_guard.redaction.form import Format

# What the tokens of one issuer or another are made of.
BODIES = ("aB3" * 20, "a1b2c3d4" * 4, "AB2CD3EF" * 4, "Ab3_" * 12, "1234567890:Ab3" + "_aB3" * 9)

SURVIVES = (
    "The model `gpt-4o-mini-2024-07-18` does not exist or you do not have access to it.",
    "model: anthropic.claude-3-haiku-20240307-v1:0 is not supported",
    "arn:aws:bedrock:us-east-1::foundation-model/anthropic.claude-3-haiku-20240307-v1:0 was not found",
    "meta-llama/Llama-3.1-8B-Instruct-Turbo and deepseek/deepseek-r1-0528:free are at capacity",
    "accounts/fireworks/models/llama-v3p1-405b-instruct, @cf/meta/llama-3.1-8b-instruct, xai/grok-4-0709, pplx-70b",
    "publishers/google/models/gemini-2.5-flash-lite-preview-06-17 is overloaded",
    "request id req_011CSHoEeqs5C35K2UUqR7Fy, chatcmpl-9f8e7d6c5b4a39281706f5e4d3c2b1a0",
    "x-request-id: 6f1c2a54-0a5e-4c39-9df0-2f4b1a3c5d7e, resp_68af4030baa48193b0b43b4c2a176a1a0e6967589f080e78",
    "resp_" + "bGl0ZWxsbTpjdXN0b21fbGxtX3Byb3ZpZGVyOm9wZW5haTttb2RlbF9pZDphYmM7cmVzcG9uc2VfaWQ6cmVzcF8x" * 2,
    "cf-ray: 8f2b3c4d5e6f7a8b-FRA, trace 0af7651916cd43dd8448eb211c80319c",
    "Limit 30000, Used 29874, Requested 1265. Please try again in 2.278s. Visit https://platform.openai.com/account/rate-limits",
    "This model's maximum context length is 128000 tokens; max_tokens: 4096 is too large, temperature=0.7, top_p: 1",
    "Retry-After: 30; retry in 872ms; 429 Too Many Requests (tokens per min)",
    "see https://docs.litellm.ai/docs/proxy/virtual_keys#spend and https://ai.google.dev/gemini-api/docs/rate-limits?hl=en",
    "POST https://api.openai.com/v1/chat/completions, /v1beta/models/gemini-2.0-flash:generateContent: 503",
    "Invalid API key. Your API key must be set, the token is missing, and the password was not given.",
    "api_key is required; no bearer token was sent; basic plan users have no access; token limit exceeded",
    "Unexpected token: < at line 3 column 17; stop token 128009; token count 512; key error: 'choices'",
    "messages.1.content.0: tool_use ids were found without tool_result blocks: toolu_01A09q90qw90lq917835lq9",
    "version 10.0.1 of 2026-01-02T03:04:05.678Z, 8.8.8.8, 1.2.3.4:443, 3/4 of [1, 2, 3]",
    "user-agent, organization-wide and team_lead are words; an org-level limit; a risk-assessment task-force",
    "größe überschritten: 日本語のエラー — “quoted” 🙂",
)


@pytest.fixture(autouse=True)
def no_host() -> Iterator[None]:
    """Without LiteLLM's own redaction: what the guard knows by itself."""
    use(Redaction())
    yield
    use(Redaction())


@pytest.mark.parametrize("sentence", SENTENCES, ids=[str(at) for at in range(len(SENTENCES))])
def test_a_secret_goes_and_its_sentence_stays(sentence: Sentence) -> None:
    told = for_client(sentence.says)
    assert not [secret for secret in sentence.hides if secret in told], told
    assert not [kept for kept in sentence.keeps if kept not in told], told
    assert for_client(told) == told


@pytest.mark.parametrize("sentence", SENTENCES, ids=[str(at) for at in range(len(SENTENCES))])
def test_a_secret_goes_wherever_it_stands(sentence: Sentence) -> None:
    """In JSON, in JSON within JSON, in the repr of bytes, between lines, at the end of a text."""
    escaped = sentence.says.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    for around in (
        f'{{"error": {{"message": "{escaped}"}}}}',
        f"x\\n{sentence.says}\\nx",
        f"b'{escaped}'",
        f"({escaped})",
    ):
        told = for_client(around)
        assert not [secret for secret in sentence.hides if secret in told], told


@pytest.mark.parametrize("text", SURVIVES)
def test_what_a_client_needs_survives(text: str) -> None:
    assert for_client(text) == text


@pytest.mark.parametrize(
    ("one", "begins"), [(one, begins) for one in TOKENS for begins in one.prefixes], ids=lambda given: str(given)[:12]
)
def test_a_token_of_every_issuer_goes(one: Format, begins: str) -> None:
    tokens = [begins + body for body in BODIES if one.pattern.fullmatch(begins + body)]
    assert tokens, "no token of that prefix is known"
    for token in tokens:
        for around in ("{} was refused", "'{}'", "x={}", "a\\n{}", "%3D{}", "{}.", "({})"):
            assert token not in for_client(around.format(token))
            assert token not in for_log(around.format(token))


@pytest.mark.parametrize(
    "place",
    [
        *(
            "10.1.2.3",
            "127.0.0.1:4000",
            "172.31.0.9",
            "192.168.0.1:80",
            "169.254.169.254",
            "100.64.3.2",
            "0.0.0.0:8000",
        ),
        *("[::1]:8000", "fd00::12:34", "fe80::1ff:fe23:4567:890a%eth0", "localhost:11434", "vllm.default.svc:8000"),
        *("db.corp.internal", "metadata.google.internal", "ip-10-0-0-12.ec2.internal", "printer.local", "nas.lan"),
        *(
            "/etc/passwd",
            "/root/.cache/huggingface/hub",
            "/run/secrets/openai",
            "~/.aws/credentials",
            "/app/server.py:12",
        ),
        *("C:\\Users\\us\\key.txt", "C:\\Program Files (x86)\\proxy\\x.log", "\\\\files\\share\\x", "file:///srv/x"),
        *("C:\\\\Users\\\\us\\\\key.txt", "D:/proxy/keys/x.txt", "/home/us/it", "./src/app.py"),
    ],
)
def test_a_client_is_not_told_where_the_proxy_runs_and_its_operator_is(place: str) -> None:
    for around in ("no answer from {} yet", "'{}' is gone", "at {}.", "error:{} failed", "({})"):
        said = around.format(place)
        assert for_client(said) == around.format(REDACTED), said
        assert for_log(said) == said


@pytest.mark.parametrize(
    "url", ["http://vllm:8000/v1", "http://10.0.0.1/v1", "https://gateway/v1", "http://localhost:1/v1"]
)
def test_of_a_private_url_only_its_host_goes(url: str) -> None:
    scheme = url.partition("://")[0]
    assert for_client(f"GET {url} failed") == f"GET {scheme}://{REDACTED}/v1 failed"


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("password=hunter2, user=x", f"password={REDACTED}, user=x"),
        ("{'password': 'two words', 'a': 1}", f"{{'password': '{REDACTED}', 'a': 1}}"),
        ('{\\"client_secret\\": \\"abc\\"}', f'{{\\"client_secret\\": \\"{REDACTED}\\"}}'),
        ("x-api-key: abc", f"x-api-key: {REDACTED}"),
        ("Cookie: session=abc", f"Cookie: {REDACTED}"),
        ("Proxy-Authorization: Basic abc", f"Proxy-Authorization: {REDACTED}"),
        ("https://x.example/a?token=abc&b=1", f"https://x.example/a?token={REDACTED}&b=1"),
        ("https://u:p@x.example/", f"https://{REDACTED}@x.example/"),
        ("mysql+pymysql://u:p@/w@db:1/x", f"mysql+pymysql://{REDACTED}"),
    ],
)
def test_what_is_called_a_secret_goes_whatever_it_looks_like(said: str, told: str) -> None:
    assert for_client(said) == for_log(said) == told


RUNS = (
    *(" ", "\n", "/+", "./", "/a.", "a", ".", "1", "A1", "Aa1", "a@", ":", "://", "://a", "\\", "\\n", "%20", "'", '"'),
    *("sk-", "eyJ", "eyJ.", "AKIA", "bot1", "SG.a.", "key=", "key: ", "api key ", "password: ", "password=.", "token:"),
    *("Bearer ", "Basic a", "authorization: ", "?key=", "&token", "&x-amz-", "-----BEGIN A-----", "-----BEGIN "),
    *("arn:aws:", "projects/a", "user_id=", "user-", "10.", "fd00:", "a.local", "a-", "host a", "C:\\a ", "\\\\a\\"),
    *("/etc/", "~/", "+ASt", "aQ~", "0f", "x-ak-", "&amp;", "'a", "=>", "postgres://", "@a@", "file://"),
)


@pytest.mark.parametrize("one", FORMATS, ids=[one.name for one in FORMATS])
def test_no_run_of_characters_is_searched_again_from_each_of_them(one: Format) -> None:
    """20,000 characters take 10 ms of CPU at most; by the square of the length they took seconds."""
    for run in RUNS:
        text = run * (20_000 // len(run))
        began = time.process_time()
        for _ in one.pattern.finditer(text):
            pass
        assert time.process_time() - began < 0.5, f"a run of {run!r}"


def test_of_a_long_text_no_half_of_a_secret_is_left() -> None:
    token = "sk" + "-" + "aB3" * 16
    for at in range(1, len(token)):
        assert "sk" not in bounded("x" * 90 + " " + token, 91 + at)
    assert len(for_client("word " * 2**18)) <= 20_000


def test_every_format_says_where_it_is_written_down() -> None:
    assert not [one.name for one in FORMATS if not one.source]


def test_a_hosts_own_redaction_follows_the_guards() -> None:
    use(
        Redaction(
            lambda text: text.replace("blue", "***"), lambda text: text.replace("blue", "***").replace("red", "***")
        )
    )
    assert (for_client("blue and red"), for_log("blue and red")) == ("*** and ***", "*** and red")


@pytest.mark.parametrize("redact", [lambda _: 1 / 0, lambda text: text + 1])
def test_a_fault_in_it_leaves_the_guards(redact: object) -> None:
    use(Redaction(redact, redact))  # type: ignore[arg-type]
    assert for_client("password=hunter2") == f"password={REDACTED}"


def test_a_host_is_given_little_at_once_and_all_of_it_in_whole_words() -> None:
    given: list[str] = []

    def note(text: str) -> str:
        given.append(text)
        return text

    use(Redaction(note))
    text = "one two  three\n" * 100 + "x" * 500
    assert for_log(text) == text
    assert "".join(given) == text
    assert max(map(len, given)) <= 160
    assert all(piece[0].isspace() for piece in given[1:10])
