"""Tokens that tell by their first letters who issued them."""

from __future__ import annotations

from litellm_cancel_guard.redaction.form import token

_LONG = r"[A-Za-z0-9_-]{16,}"
_PLAIN = r"[A-Za-z0-9]{16,}"

TOKENS = (
    token(
        "OpenAI, Anthropic, DeepSeek, OpenRouter, LiteLLM, Langfuse, ElevenLabs",
        "platform.openai.com/docs/api-reference/authentication; docs.anthropic.com/en/api; docs.litellm.ai",
        "sk- sk_ pk-lf- sess-",
        r"[\w*-]{8,}",
    ),
    token("Google API keys", "cloud.google.com/docs/authentication/api-keys", "AIza", r"[\w*-]{10,}"),
    token("Google express keys", "cloud.google.com/vertex-ai: express mode", "AQ.", r"[\w-]{20,}"),
    token("Google OAuth", "developers.google.com/identity/protocols/oauth2", "ya29. 1//0 GOCSPX-", r"[\w./~+-]{10,}"),
    token(
        "AWS access key ids",
        "docs.aws.amazon.com IAM reference_identifiers, unique id prefixes",
        "AKIA ASIA ABIA ACCA AGPA AIDA AIPA ANPA ANVA AROA",
        r"(?=[A-Z]*[2-7])[A-Z0-9]{12,}",
    ),
    token(
        "AWS session tokens, Bedrock keys",
        "docs.aws.amazon.com STS API_GetSessionToken; bedrock userguide api-keys",
        "IQoJb3JpZ2lu FwoGZXIvYXdz FQoGZXIvYXdz AQoDYXdz ABSK bedrock-api-key-",
        r"[\w+/=%-]{12,}",
    ),
    token(
        "GitHub", "docs.github.com about-authentication-to-github", "ghp_ gho_ ghu_ ghs_ ghr_ github_pat_", r"\w{16,}"
    ),
    token(
        "GitLab",
        "docs.gitlab.com/security/tokens: token prefixes",
        "glpat- gldt- glrt- glcbt- glptt- glft- glimt- glagent- glsoat- gloas- glffct-",
        r"[\w.-]{16,}",
    ),
    token(
        "Slack",
        "api.slack.com/concepts/token-types",
        "xoxb- xoxp- xoxa- xoxe- xoxe. xoxr- xoxs- xoxd- xapp-",
        r"[\w%.-]{10,}",
    ),
    token("Hugging Face", "huggingface.co/docs/hub/security-tokens", "hf_ api_org_", _PLAIN),
    token("Groq, xAI, Cerebras", "console.groq.com; docs.x.ai; inference-docs.cerebras.ai", "gsk_ xai- csk-", _PLAIN),
    token(
        "Perplexity, Replicate, Fireworks, Together",
        "docs.perplexity.ai; replicate.com/docs",
        "pplx- r8_ fw_ tgp_v1_",
        r"(?:[A-Za-z0-9]{16,}|[\w]{24,})",
    ),
    token("NVIDIA", "docs.api.nvidia.com", "nvapi-", _LONG),
    token("Databricks", "docs.databricks.com/dev-tools/auth/pat", "dapi dkea dose", r"[0-9a-f]{32}(?:-\d)?"),
    token(
        "Voyage, Jina, Tavily, Exa, Firecrawl, Pinecone, Modal",
        "docs.voyageai.com; jina.ai; docs.tavily.com; docs.firecrawl.dev; docs.pinecone.io; modal.com/docs",
        "pa- al- jina_ tvly- tvly-dev- fc- pcsk_ ak- as-",
        r"[A-Za-z0-9_]{20,}",
    ),
    token(
        "LangSmith, Weights & Biases, Anyscale",
        "docs.smith.langchain.com",
        "lsv2_pt_ lsv2_sk_ ls__ wandb_v1_ esecret_",
        r"\w{16,}",
    ),
    token("Stripe", "docs.stripe.com/keys", "sk_live_ sk_test_ rk_live_ rk_test_ pk_live_ whsec_", r"\w{10,}"),
    token(
        "npm, PyPI, Docker, DigitalOcean",
        "docs.npmjs.com; pypi.org/help; docs.docker.com",
        "npm_ pypi- dckr_pat_ dckr_oat_ dop_v1_ doo_v1_",
        _LONG,
    ),
    token(
        "SendGrid, Telegram", "docs.sendgrid.com; core.telegram.org/bots/api", "SG. bot", r"[\w-]{8,64}[.:][\w-]{20,}"
    ),
    token(
        "Vault, Doppler, Pulumi, Terraform",
        "developer.hashicorp.com/vault/docs/concepts/tokens",
        "hvs. hvb. hvr. dp.pt. dp.st. pul-",
        r"[\w.-]{16,}",
    ),
    token(
        "Grafana, New Relic, Sentry, Linear, Notion, Shopify",
        "grafana.com/docs; docs.sentry.io",
        "glsa_ glc_ NRAK- sntrys_ sntryu_ lin_api_ ntn_ secret_ shpat_ sbp_",
        r"[\w+/=-]{16,}",
    ),
    token(
        "Alibaba, Tencent",
        "alibabacloud.com/help: AccessKey; cloud.tencent.com: SecretId",
        "LTAI AKID",
        r"[A-Za-z0-9]{12,}",
    ),
    token("age", "age-encryption.org/v1", "AGE-SECRET-KEY-1", r"[A-Z0-9]{20,}"),
)
