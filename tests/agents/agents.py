"""The agents as data: what is installed, how it is asked, and its settings; `$url`, `$key`, `$prompt` stand in them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal


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
    """More of its environment where the provider always fails: it is to give up in its time."""
    index: Literal["npm", "PyPI"] = field(default="npm", repr=False)
    """Where its package is."""
    seconds: int = field(default=60, repr=False)
    """What it takes at most, by its own rule, whatever the provider does."""
    frame: str = field(default="", repr=False)
    """What it says of itself on standard output, around its answers: a regular expression."""

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
OPENCODE = Agent(
    "opencode",
    "opencode-ai",
    "1.18.33",
    "opencode",
    # Without a title of the test's own it asks the model for one, as the first of the run.
    ("run", "--title", "One answer", "$prompt"),
    {
        "PROXY_KEY": "$key",
        "OPENCODE_DISABLE_AUTOUPDATE": "1",
        "OPENCODE_DISABLE_DEFAULT_PLUGINS": "1",
        "OPENCODE_DISABLE_LSP_DOWNLOAD": "1",
        "OPENCODE_DISABLE_MODELS_FETCH": "1",
        "OPENCODE_DISABLE_SHARE": "1",
    },
    # A provider whose package is part of the program: another one is installed from npm at the start.
    {
        ".config/opencode/opencode.json": """\
{
  "model": "proxy/gpt",
  "small_model": "proxy/gpt",
  "enabled_providers": ["proxy"],
  "provider": {
    "proxy": {
      "npm": "@ai-sdk/openai-compatible",
      "options": {"baseURL": "$url/v1", "apiKey": "{env:PROXY_KEY}"},
      "models": {"gpt": {"limit": {"context": 128000, "output": 4096}}}
    }
  }
}
""",
    },
    # It asks five times more, after 2, 4, 8, 16 and 30 s and up to a quarter of that, and nothing sets that.
    seconds=120,
)
AIDER = Agent(
    "aider",
    "aider-chat",
    "0.86.2",
    "aider",
    (
        "--model=openai/gpt",
        "--weak-model=openai/gpt",
        "--no-git",
        "--no-check-update",
        "--no-show-release-notes",
        "--no-show-model-warnings",
        "--no-detect-urls",
        "--analytics-disable",
        "--yes-always",
        "--message=$prompt",
    ),
    {"OPENAI_API_KEY": "$key", "OPENAI_API_BASE": "$url/v1", "LITELLM_LOCAL_MODEL_COST_MAP": "True"},
    # The prices of models, which it would look for at GitHub.
    {".aider/caches/model_prices_and_context_window.json": '{"openai/gpt": {}}'},
    index="PyPI",
    # It asks eight times more, after 64 s in all, and nothing sets that.
    seconds=120,
    frame=r"(?s)\A.*?\nRepo-map: [^\n]*\n|\nTokens: [^\n]*\n",
)
AGENTS = (CLAUDE, CODEX, GEMINI, QWEN, OPENCODE, AIDER)
