"""Which of its own pins a LiteLLM can't be installed with: read from what `uv` says when it fails."""

from __future__ import annotations

import re

# As uv 0.13 words it: Because there is no version of certifi==2099.1.1 and litellm[proxy]==1.109.1 depends on
# certifi==2099.1.1, we can conclude that litellm[proxy]==1.109.1 cannot be used. Older ones break and frame the lines.
_PINNED = re.compile(r"\blitellm\[proxy\]\S* depends on ([A-Za-z0-9][\w.-]*)==")
_ABSENT = "{name} was not found in the package registry"


def named_by(failure: str) -> list[str]:
    """Return lines for `uv pip install --overrides` that free LiteLLM of the pins that a failed installation names.

    Only what LiteLLM pins exactly is named: some releases pin companions (`litellm-proxy-extras`, `litellm-enterprise`,
    `certifi`; 1.103.11, 1.108.14 - 1.110.2) to releases that the index lacks, and from 1.110 on `litellm-proxy`, which
    has no release there at all and is left out. uv names one at a time: install again without it, and ask again.
    """
    said = " ".join(re.sub(r"[^\x20-\x7e]+", " ", failure).split())
    pinned = dict.fromkeys(_PINNED.findall(said))
    return [f"{name}; python_version < '3'" if _ABSENT.format(name=name) in said else name for name in pinned]
