"""Where an answer is over, in the bytes of its protocol: nothing but pings, or `[DONE]`, belongs behind it."""

from __future__ import annotations

import re
from dataclasses import dataclass

# Lines and names of Anthropic's and OpenAI's events: a text that speaks of one has its line breaks and quotes escaped.
_MESSAGES = rb'^(?:event: ?message_stop\r?$|data: ?\{"type": ?"message_stop")'
_RESPONSES = (
    rb"^(?:event: ?response\.(?:completed|incomplete|failed)\r?$"
    rb'|data: ?\{"type": ?"response\.(?:completed|incomplete|failed)")'
)
_GOOGLE = rb'(?<!\\)"(?:finish|block)Reason"\s*:\s*"[A-Z]'


@dataclass(frozen=True)
class Over:
    """How an end looks: `mark` is in each, and in little else; `pattern` tells one; `once` where it comes but once."""

    mark: bytes
    pattern: re.Pattern[bytes]
    once: bool = True

    def is_in(self, data: bytes) -> bool:
        """Tell whether the end stands in *data*, or begins there."""
        return self.mark in data and self.pattern.search(data) is not None

    def comes_again(self, data: bytes) -> bool:
        """Tell whether *data*, in which there is an end, has more than one, where there should be one."""
        return not self.once and len(self.pattern.findall(data)) > 1

    def goes_on(self, data: bytes) -> bool:
        """Tell whether *data*, which came behind an end, shows that it was none."""
        return _says_more(data) and not (self.once and self.is_in(data))


_BY_PATH = (
    (re.compile(r"/messages$|:streamRawPredict$"), Over(b"message_stop", re.compile(_MESSAGES, re.MULTILINE))),
    (re.compile(r"/responses$"), Over(b"response.", re.compile(_RESPONSES, re.MULTILINE))),
    (re.compile(r":streamGenerateContent$"), Over(b'Reason"', re.compile(_GOOGLE), once=False)),
)


# An ARN has slashes of its own, which are escaped in the URL alone.
_OF_BEDROCK = re.compile(r"/model/.+/(?:converse-stream|invoke-with-response-stream)$")


def over_at(path: str) -> Over | None:
    """Return how an answer ends that was asked for at *path* of a provider; None where that is not known here."""
    return next((over for pattern, over in _BY_PATH if pattern.search(path.rstrip("/"))), None)


def is_of_bedrock(path: str) -> bool:
    """Tell whether Bedrock is asked at *path* for a stream of messages, which is judged by what they say."""
    return _OF_BEDROCK.search(path) is not None


def _says_more(data: bytes) -> bool:
    # More than pings, comments, `[DONE]` and Google's usage, which comes by itself.
    return b"{" in data and b'"ping"' not in data and (b'"usageMetadata"' not in data or b'"parts"' in data)
