"""The agents as data: what is installed, how it is asked, and its settings; `$url`, `$key`, `$prompt` stand in them."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, eq=False)
class Agent:
    name: str
    package: str = field(repr=False)
    version: str
    program: str = field(repr=False)
    arguments: tuple[str, ...] = field(repr=False)
    env: dict[str, str] = field(repr=False)
    files: dict[str, str] = field(default_factory=dict, repr=False)
    """What lies in its HOME."""
    impatient: dict[str, str] = field(default_factory=dict, repr=False)
    """More of its environment where the provider always fails: it is to give up within a minute."""

    def __str__(self) -> str:
        return self.name


CLAUDE = Agent(
    "claude-code",
    "@anthropic-ai/claude-code",
    "2.1.332",
    "claude",
    ("-p", "$prompt"),
    {
        "ANTHROPIC_BASE_URL": "$url",
        "ANTHROPIC_API_KEY": "$key",
        "ANTHROPIC_MODEL": "claude",
        "ANTHROPIC_SMALL_FAST_MODEL": "claude",
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        "DISABLE_AUTOUPDATER": "1",
        "DISABLE_TELEMETRY": "1",
        "DISABLE_ERROR_REPORTING": "1",
    },
    # Its own ten, doubling, are minutes.
    impatient={"CLAUDE_CODE_MAX_RETRIES": "3"},
)
CODEX = Agent(
    "codex",
    "@openai/codex",
    "0.171.0",
    "codex",
    ("exec", "--skip-git-repo-check", "$prompt"),
    {"OPENAI_API_KEY": "$key"},
    {
        ".codex/config.toml": """\
model = "gpt"
model_provider = "proxy"
check_for_update_on_startup = false

[analytics]
enabled = false

[model_providers.proxy]
name = "proxy"
base_url = "$url/v1"
env_key = "OPENAI_API_KEY"
wire_api = "responses"
""",
    },
)
GEMINI = Agent(
    "gemini-cli",
    "@google/gemini-cli",
    "0.61.0",
    "gemini",
    ("--skip-trust", "-m", "gem", "-p", "$prompt"),
    {"GEMINI_API_KEY": "$key", "GOOGLE_GEMINI_BASE_URL": "$url"},
    {
        ".gemini/settings.json": """\
{
  "general": {"enableAutoUpdate": false, "enableAutoUpdateNotification": false, "maxAttempts": 3},
  "privacy": {"usageStatisticsEnabled": false},
  "security": {"auth": {"selectedType": "gemini-api-key"}},
  "telemetry": {"enabled": false}
}
""",
    },
)
QWEN = Agent(
    "qwen-code",
    "@qwen-code/qwen-code",
    "0.24.4",
    "qwen",
    ("--auth-type", "openai", "-m", "gpt", "$prompt"),
    {"OPENAI_API_KEY": "$key", "OPENAI_BASE_URL": "$url/v1"},
    {
        ".qwen/settings.json": """\
{
  "general": {"enableAutoUpdate": false, "disableAutoUpdate": true},
  "model": {"generationConfig": {"maxRetries": 2, "retryInitialDelayMs": 1000}},
  "privacy": {"usageStatisticsEnabled": false},
  "telemetry": {"enabled": false}
}
""",
    },
)
AGENTS = (CLAUDE, CODEX, GEMINI, QWEN)
